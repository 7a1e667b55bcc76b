#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails when gofmt would change a file.
set -eu

unformatted=$(find . -name '*.go' -not -path './.git/*' -not -path './build/*' -exec gofmt -l {} +)
if [ -n "$unformatted" ]; then
	echo "gofmt would change:" "$unformatted" >&2
	exit 1
fi
