// SPDX-License-Identifier: Apache-2.0

package test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"waymark/internal/lab"
)

var update = flag.Bool("update", false, "write what the scripts' commands print into the scripts")

// TestScripts runs the scripts below testdata/script. They are the command
// line as its users meet it: each runs the real binary, and those that need
// a kernel to themselves make a laboratory first. Beside testscript's own
// commands they have those of scriptcommand_test.go.
func TestScripts(t *testing.T) {
	waymark := binary(t)
	before := held(t)
	ownTemporary(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Cmds:                scriptCommands,
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			s := &script{waymark: waymark, work: e.WorkDir, t: e.T().(testingT)}
			e.Values[scriptKey{}] = s
			return s.openToAll()
		},
		Condition: func(name string) (bool, error) {
			if path, ok := strings.CutPrefix(name, "exists:"); ok {
				_, err := os.Stat(path)
				return err == nil, nil
			}
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
	// The scripts run side by side once this function has returned.
	t.Cleanup(func() {
		if diff := cmp.Diff(before, held(t)); diff != "" {
			t.Errorf("the scripts left something (-before +after):\n%s", diff)
		}
	})
}

// held is what laboratories of this process hold of the machine.
func held(t *testing.T) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	list, err := lab.Held()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// ownTemporary makes testscript work in a directory that goes with the test:
// it leaves its own behind when only some scripts are run.
func ownTemporary(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "waymark-scripts-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOTMPDIR", dir)
}

// openToAll lets every user read the script's files.
func (s *script) openToAll() error {
	for _, dir := range []string{s.work, filepath.Dir(s.work)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}
