#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# packages.sh [PROGRAM PACKAGE]...: installs the Debian packages that the tests and
# the bench use and this machine lacks, and those that have the programs named.
set -eu

missing=
need() { # need PROGRAM PACKAGE
	PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need ip iproute2
need tc iproute2
need nft nftables
need iptables iptables
need dockerd docker.io
need docker docker.io
need containerd containerd
need /usr/lib/cni/bridge containernetworking-plugins
need podman podman
need busybox busybox-static
need git git
need chromium chromium
need node nodejs
need npm npm
need prometheus prometheus
need promtool prometheus
need prometheus-node-exporter prometheus-node-exporter
need clang-19 clang-19
need llvm-strip-19 llvm-19
while [ $# -ge 2 ]; do
	need "$1" "$2"
	shift 2
done

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "left out: tests that need$missing (as root, this script would install them)"
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "left out: tests that need$missing (install them by this system's own means)"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
