// SPDX-License-Identifier: Apache-2.0

package hosts

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// testExec starts commands in a class: each is in a scope of systemd's, which
// goes with it, and so does, on down, the slice that it was in.
func (m *machine) testExec(t *testing.T) {
	run := func(args ...string) []string {
		return append([]string{"waymark", "exec", "--class", "by-hand", "--"}, args...)
	}
	m.leaves(t, "the first in its class", byC, func(t *testing.T) { m.ok(t, run("/usr/local/bin/say")...) })
	m.leaves(t, "another", byC, func(t *testing.T) { m.ok(t, run("sh", "-c", "/usr/local/bin/say & wait")...) })
	groups := m.ok(t, run("cat", "/proc/self/cgroup")...)
	if !strings.Contains(groups, `/waymark.slice/waymark-by\x2dhand.slice/waymark-`) || !strings.HasSuffix(strings.TrimSpace(groups), ".scope") {
		t.Errorf("the command is in %s", groups)
	}
	if out := m.ok(t, run("systemctl", "list-units", "--plain", "--no-legend", "waymark-*.scope")...); !strings.Contains(out, "running") {
		t.Errorf("systemd lists %q", out)
	}
	_, err := m.run(run("sh", "-c", "exit 7")...)
	if ended := (*exec.ExitError)(nil); !errors.As(err, &ended) || ended.ExitCode() != 7 {
		t.Errorf("of exit code 7 became %v", err)
	}
	eventually(t, "the scopes are gone", func() error {
		if out := m.scopes(t); strings.Contains(out, ".scope") {
			return errors.New(out)
		}
		return nil
	})
}

// scopes are Waymark's units in systemd.
func (m *machine) scopes(t *testing.T) string {
	t.Helper()
	return m.ok(t, "systemctl", "list-units", "--plain", "--no-legend", "waymark*.scope", "waymark*.slice")
}
