// SPDX-License-Identifier: Apache-2.0

// Package hosts tests Waymark on a real host: one booted by systemd, whose
// network is a laboratory's. `make test-hosts` makes its root file system.
package hosts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"waymark/internal/lab"
)

// rootVariable is the environment variable that names the root file system.
const rootVariable = "WAYMARK_HOSTS_ROOT"

// built is the folder of the binary under test.
var built string

func TestMain(m *testing.M) {
	code := 1
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(built)
	os.Exit(code)
}

func build() (err error) {
	if os.Getenv(rootVariable) == "" {
		return nil
	}
	if built, err = os.MkdirTemp("", "waymark-hosts-"); err != nil {
		return err
	}
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(built, "waymark"), "waymark/cmd/waymark")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	return c.Run()
}

// rootOf is the root file system, for a test that leaves nothing.
func rootOf(t *testing.T) string {
	t.Helper()
	root := os.Getenv(rootVariable)
	if root == "" {
		t.Skip("left out: a host with systemd: run `make test-hosts`")
	}
	if os.Geteuid() != 0 {
		t.Skip("not root: it makes namespaces and cgroups")
	}
	nothingLeft(t)
	return root
}

// TestSystemd has one host for all of it: it boots for a while.
func TestSystemd(t *testing.T) {
	root := rootOf(t)
	m := boot(t, lab.Options{Uplinks: 3}, root)
	m.installUnits(t)
	before := m.state(t)
	t.Run("units", m.testUnits)
	t.Run("exec", m.testExec)
	m.insists(t, func(t *testing.T) {
		t.Run("networkd", m.testNetworkd)
		t.Run("agent", m.testAgent)
	})
	m.ok(t, "waymark", "down")
	if out := m.scopes(t); out != "" {
		t.Errorf("after down systemd has\n%s", out)
	}
	if after := m.state(t); after != before {
		t.Errorf("rules after down:\n%s\nbefore the first apply:\n%s", after, before)
	}
}
