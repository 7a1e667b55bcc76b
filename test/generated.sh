#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Generates the bindings beside the committed ones and fails on a difference.
set -eu

if ! command -v clang-19 >/dev/null 2>&1; then
	echo "left out: the check that generated files are fresh (needs clang-19)"
	exit 0
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cp -r go.mod go.sum bpf "$fresh"
(cd "$fresh" && go generate ./bpf)
if ! diff -r bpf "$fresh/bpf"; then
	echo "bpf: generated files are not up to date: run 'make generate' and commit the result" >&2
	exit 1
fi
