#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch.sh FOLDER SERIES...: unpacks Debian's newest cloud kernel of each series
# ("6.1", or "newest" for the newest of all) below FOLDER, and prints a line for
# each: the series, the folder of the kernel, its release, the package's version.
#
# apt works in a root of its own below FOLDER, on the mirror that this machine's
# apt uses: nothing is installed, and no right is needed. What the mirror no
# longer has, or no mirror can be asked for, is taken from FOLDER if it is there.
set -eu

folder=$1
shift
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
apt=$folder/.apt

uris=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 2>/dev/null | sort -u)
archive=$(echo "$uris" | grep -m1 '/debian/\?$' || true)
security=$(echo "$uris" | grep -m1 '/debian-security/\?$' || true)
if [ -z "$archive" ]; then
	echo "fetch kernels: this machine's apt knows no Debian mirror" >&2
	exit 1
fi

# root makes apt's root: the mirror's suites that have the kernels.
root() {
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	: >"$apt/status"
	for suite in bullseye bookworm trixie trixie-backports; do
		echo "deb $archive $suite main"
	done >"$apt/sources.list"
	for suite in bullseye bookworm trixie; do
		[ -z "$security" ] || echo "deb $security $suite-security main"
	done >>"$apt/sources.list"
	cat >"$apt/apt.conf" <<-END
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$apt";
		Dir::State::Status "$apt/status";
		Dir::Cache "$apt";
		Dir::Cache::pkgcache "pkgcache.bin";
		Dir::Cache::srcpkgcache "srcpkgcache.bin";
		APT::Architecture "amd64";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
	END
}

[ -e "$apt/updated" ] || root
# An index of this morning will do.
if [ -z "$(find "$apt/updated" -mmin -720 2>/dev/null)" ]; then
	if apt-get -c "$apt/apt.conf" update -qq >&2; then touch "$apt/updated"; fi
fi

# known SERIES: the newest release that the mirror has, or else the folder.
known() {
	case $1 in newest) want='[0-9]+\.[0-9]+' ;; *) want=$(echo "$1" | sed 's/\./\\./') ;; esac
	pattern="^$want\.[0-9][^ ]*-cloud-amd64\$"
	releases=$(apt-cache -c "$apt/apt.conf" pkgnames linux-image- | sed 's/^linux-image-//' | grep -E "$pattern" || true)
	[ -n "$releases" ] || releases=$(ls "$folder" | grep -E "$pattern" || true)
	echo "$releases" | sort -V | tail -n1
}

# unpack RELEASE: since 6.19 the image package is a shell over two others.
unpack() {
	work=$(mktemp -d "$folder/.unpack.XXXXXX")
	packages=$(apt-cache -c "$apt/apt.conf" madison "linux-image-$1" "linux-binary-$1" "linux-modules-$1" | awk '{print $1}' | sort -u)
	# shellcheck disable=SC2086 # a list of words
	(cd "$work" && apt-get -c "$apt/apt.conf" download -qq $packages >&2)
	for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
	dpkg-deb -f "$work/linux-image-"*.deb Version >"$work/root/version"
	mv "$work/root" "$folder/$1"
	rm -rf "$work"
}

for series in "$@"; do
	release=$(known "$series")
	if [ -z "$release" ]; then
		echo "fetch kernels: Debian has no kernel $series, and neither has $folder" >&2
		exit 1
	fi
	[ -e "$folder/$release/version" ] || unpack "$release"
	echo "$series $folder/$release $release $(cat "$folder/$release/version")"
done
