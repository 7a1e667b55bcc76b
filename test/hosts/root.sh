#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# root.sh DIRECTORY: a Debian with systemd, systemd-networkd and D-Bus, made once.
set -eu

[ ! -e "$1/usr/lib/systemd/systemd-networkd" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "left out: tests on a host with systemd (as root, this script would make one in $1)"
	exit 0
fi
echo "making a Debian with systemd in $1: a minute or two, once"
mkdir -p "$(dirname "$1")"
rm -rf "$1.new"
if ! debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2 bookworm "$1.new" >"$1.log" 2>&1; then
	tail -n 5 "$1.log" >&2
	exit 1
fi
rm -rf "$1.new"/var/cache/apt/archives/*.deb "$1.new"/var/lib/apt/lists/*
mv "$1.new" "$1"
