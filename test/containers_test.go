// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waymark/internal/lab"
	"waymark/internal/plan"
)

// reapply applies the policy that was applied last.
func (s *site) reapply(t *testing.T) applied {
	t.Helper()
	return item[applied](t, s.ok(t, "apply", "-o", "json", "-f", filepath.Join(s.dir, "policy.yaml"), "--cgroup-root", s.CgroupRoot()))
}

// reapply does so until the runtime answers in time.
func (m *containerHost) reapply(t *testing.T) {
	t.Helper()
	soon(t, "the runtime answers", func() error {
		if waiting := strings.Join(m.site.reapply(t).Waiting, "; "); strings.Contains(waiting, "did not answer") {
			return errors.New(waiting)
		}
		return nil
	})
}

// TestContainersByName has real containers of Docker's, by name and by labels: ones
// with their own network behind the bridge, and ones with the host's, before
// and after moves, restarts and re-creation.
func TestContainersByName(t *testing.T) {
	s := newTraffic(t, lab.Options{Forward: true})
	e := s.docker(t)
	e.upAndDown(t)
	if got := s.apply(t, e.policy()).Waiting; len(got) != 2 || got[0] != "no container is backup yet: its match takes nothing" {
		t.Errorf("without a container the policy waits for %q", got)
	}
	check := func(name, id string, router int) {
		t.Helper()
		s.goesBy(t, name, e.in(id), router, byC)
	}
	named := e.start(t, "--name=backup")
	labelled := e.start(t, "--label=tier=bulk-1", "--label=com.example/site=x", "--name=other")
	unclassed := e.start(t, "--label=tier=bulk-1", "--name=backup-2")
	e.reapply(t)
	check("by name", named, byB)
	check("by labels", labelled, byC)
	check("by neither", unclassed, byA)

	s.ok(t, "move", "container:backup", "labelled")
	check("moved", named, byC)
	e.run(t, "rm", "-f", named)
	named = e.start(t, "--name=backup")
	e.reapply(t)
	check("moved, and made again", named, byC)
	s.ok(t, "move", "--undo", "container:backup")
	check("moved back", named, byB)

	e.run(t, "restart", "-t", "0", named)
	e.reapply(t)
	check("restarted", named, byB)
	if out := s.ok(t, "explain", "--container", "backup"); !strings.Contains(out, "{container: backup}") {
		t.Errorf("explain --container says\n%s", out)
	}
	socket := e.socket()
	before := s.lines(t, e.policy())
	move(t, socket, socket+"-away")
	e.reapply(t)
	if diff := cmp.Diff(before, s.lines(t, e.policy()), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("while the runtime does not answer, matches become (- before, + now)\n%s", diff)
	}
	if waiting := s.status(t).Waiting; len(waiting) != 1 || !strings.Contains(waiting[0], "no runtime is there") {
		t.Errorf("while the runtime does not answer, the policy waits for %q", waiting)
	}
	move(t, socket+"-away", socket)

	e.run(t, "rm", "-f", named, labelled)
	e.reapply(t)
	e.nobody(t)

	// The pattern is there before the container is: its first socket is classed.
	named = e.run(t, "create", "--init=false", "--name=backup", "--network=host", "box", "/bin/sleep", "1000")
	e.reapply(t)
	e.run(t, "start", named)
	check("made before, started after the apply", named, byB)
	e.run(t, "rm", "-f", named)

	// An agent takes up each at its creation.
	s.agent(t, e.policy())
	named = e.run(t, "create", "--init=false", "--name=backup", "--network=host", "box", "/bin/sleep", "1000")
	s.caughtUp(t)
	e.run(t, "start", named)
	check("made under the agent", named, byB)
	e.run(t, "rm", "-f", named)
	named = e.start(t, "--name=backup")
	s.caughtUp(t)
	check("made again under the agent", named, byB)
	e.run(t, "rename", "backup", "backup-0")
	s.caughtUp(t)
	check("renamed under the agent", named, byA)
}

// caughtUp waits until the agent has seen what there is.
func (s *site) caughtUp(t *testing.T) {
	t.Helper()
	s.planned(t, func() error { return nil })
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// lines are the matches as a plan made now has them.
func (s *site) lines(t *testing.T, policy string) []plan.Line {
	t.Helper()
	out := s.ok(t, append([]string{"plan", "-o", "json"}, s.write(t, policy)...)...)
	return item[struct{ Plan plan.Plan }](t, out).Plan.Lines
}

// nobody checks that no match has a cgroup of a container that is gone.
func (e *dockerEngine) nobody(t *testing.T) {
	t.Helper()
	for _, l := range e.lines(t, e.policy()) {
		for _, c := range l.Match.Cgroup {
			if c.Path != "" || c.Unit != "" {
				t.Errorf("%s still has the cgroup %v", l.Text, c)
			}
		}
	}
}
