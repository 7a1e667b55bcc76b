// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestJournal(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newJournal(&out))
	log.Info("ready")
	log.With("kind", "rule").Warn("put back", "by", "ip (pid 7)")
	log.Error("two\nlines", "wait", 2)
	log.Debug("not said")
	const want = "<6>ready\n<4>put back kind=rule by=\"ip (pid 7)\"\n<3>two lines wait=2\n"
	if out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
}
