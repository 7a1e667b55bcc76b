#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# each.sh [PATTERN]: runs every test of this directory, or those that a pattern
# matches, in a process of its own, one more side by side than there are CPUs: each
# has namespaces, cgroups and pins of its own, and waits for much of its time.
# What fails prints what it said, the beginnings of very long lines.
set -eu

if [ "${1-}" = --one ]; then
	name=$2
	begun=$(date +%s)
	if "$EACH/test" -test.count=1 -test.timeout=30m -test.run "^$name\$" >"$EACH/$name" 2>&1; then
		echo "ok	$name	$(($(date +%s) - begun)) s"
		exit
	fi
	# One write, so that what fails at the same time is not mixed into it.
	printf '%s\n' "$(cut -c1-500 "$EACH/$name")" "FAIL	$name	$(($(date +%s) - begun)) s"
	exit 1
fi

EACH=$(mktemp -d)
export EACH
trap 'rm -rf "$EACH"' EXIT
chmod 755 "$EACH" # other users run the binary, too
export CGO_ENABLED=0
go test -c -o "$EACH/test" ./test
go build -trimpath -buildvcs=false -o "$EACH/waymark" ./cmd/waymark
go build -trimpath -buildvcs=false -o "$EACH/client" ./test/client
export WAYMARK_BINARY="$EACH/waymark" WAYMARK_CLIENT="$EACH/client"
cd test
"$EACH/test" -test.list "${1:-^(Test|Fuzz)}" | xargs -P "$(($(nproc) + 1))" -I NAME ./each.sh --one NAME
