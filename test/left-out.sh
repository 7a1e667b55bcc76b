#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Says what a run without root did not test.
set -eu

[ "$(id -u)" = 0 ] || echo "left out, for want of root: every test that loads BPF programs, makes network namespaces or sends packets"
