// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"waymark/internal/lab"
)

func TestMain(m *testing.M) {
	if lab.ClientMain() || peerMain() || workerMain() {
		return
	}
	if given := os.Getenv("WAYMARK_CLIENT"); given != "" {
		lab.ClientsBy(given)
	}
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built is the binary under test; every user may run it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// binary is the path of the waymark binary, built when it is first asked for.
// A guest of test/kernels has no Go, and is given one.
func binary(t testing.TB) string {
	t.Helper()
	if given := os.Getenv("WAYMARK_BINARY"); given != "" {
		return given
	}
	built.once.Do(func() { built.err = build() })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "waymark")
}

func build() (err error) {
	if built.dir, err = os.MkdirTemp("", "waymark-test-"); err != nil {
		return err
	}
	if err := os.Chmod(built.dir, 0o755); err != nil {
		return err
	}
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(built.dir, "waymark"), "waymark/cmd/waymark")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	return c.Run()
}
