// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestOutput runs programs that fail, are not there, or hang, one with a child that
// keeps its output open.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	defer func(was time.Duration) { patience = was }(patience)
	patience = 300 * time.Millisecond
	for name, c := range map[string]struct{ script, text, err string }{
		"prints":       {"echo text", "text\n", ""},
		"fails":        {"exit 3", "", "run fails: exit status 3"},
		"fails-aloud":  {"echo why >&2; exit 3", "", "run fails-aloud: exit status 3: why"},
		"hangs":        {"exec sleep 60", "", "run hangs: it did not end within 300ms"},
		"hangs-nested": {"sleep 60; echo", "", "run hangs-nested: it did not end within 300ms"},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		text, err := Output(name)
		if text != c.text || (err != nil) != (c.err != "") || err != nil && os.Geteuid() == 0 && err.Error() != c.err {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
	}
	if _, err := Output("never-installed"); !errors.Is(err, ErrNotInstalled) {
		t.Error(err)
	}
}
