#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# packages.sh: installs the npm packages that drive a browser, at the versions
# of package-lock.json, beside themselves.
set -eu

cd "$(dirname "$0")"
if cmp -s package-lock.json node_modules/.of; then
	exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
	echo "left out: tests of the page, that need npm"
	exit 0
fi
npm ci --silent --no-audit --no-fund
cp package-lock.json node_modules/.of
