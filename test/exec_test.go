// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"waymark/internal/lab"
)

// A started is a command that `waymark exec` started: a sender on demand.
type started struct{ *crowd }

// exec starts one in a class.
func (s *site) exec(t *testing.T, class string, to netip.AddrPort) started {
	t.Helper()
	self := must[string](t)(os.Executable())
	return started{start(t, s.Host.Command(binary(t), "exec", "--class", class, "--", self, "be-a-sender", to.String()))}
}

// from makes it send one datagram, and returns the source.
func (c started) from(t *testing.T) string {
	t.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(must[string](t)(c.out.ReadString('\n')))
}

// code waits for its end.
func (c started) code(t *testing.T) int {
	t.Helper()
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

const execPolicy = threeUplinks + `
classes:
  - {name: first, route: [a], match: [{uid: 0, dst: 203.0.113.0/24}]}
  - {name: bulk, route: [b], match: [{cgroup: bulk.slice}]}
`

// TestExec starts a command in a class whose matches do not take it, behind
// one whose matches do, and keeps it there through an apply that moves the
// class.
func TestExec(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.apply(t, execPolicy)
	place := filepath.Join(s.CgroupRoot(), "waymark", "bulk")
	c := s.exec(t, "bulk", v4.service(1))
	if got := c.from(t); got != "10.0.2.2" {
		t.Errorf("it sends from %s, want by b", got)
	}
	s.apply(t, strings.Replace(execPolicy, "route: [b]", "route: [c]", 1))
	if got := c.from(t); got != "10.0.3.2" {
		t.Errorf("after the class moved it sends from %s, want by c", got)
	}
	if drift := s.status(t).Drift; !drift.Empty() {
		t.Errorf("the kernel differs: %v", drift)
	}
	c.in.Close()
	if code := c.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left, _ := filepath.Glob(place + "/*-*"); left != nil {
		t.Errorf("it left %v", left)
	}
	if drift := s.status(t).Drift; !drift.Empty() {
		t.Errorf("afterwards the kernel differs: %v", drift)
	}
	s.seen.add(t, s.pins())
	s.ok(t, "down")
	if _, err := os.Stat(filepath.Dir(place)); err == nil {
		t.Errorf("down left %s", filepath.Dir(place))
	}
}

// TestExecEnds ends commands by signals, and their keeper without a word.
func TestExecEnds(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.apply(t, strings.ReplaceAll(execPolicy, uplinkC, ""))
	places := filepath.Join(s.CgroupRoot(), "waymark", "bulk", "*-*")
	c := s.exec(t, "bulk", v4.service(1))
	c.from(t)
	_ = c.Process.Signal(syscall.SIGTERM)
	if code := c.code(t); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d after SIGTERM", code)
	}

	c = s.exec(t, "bulk", v4.service(1))
	c.from(t)
	_ = c.Process.Kill()
	if got := c.from(t); got != "10.0.2.2" {
		t.Errorf("without its keeper it sends from %s", got)
	}
	if left, _ := filepath.Glob(places); len(left) != 1 {
		t.Errorf("while it runs there is %v", left)
	}
	s.ok(t, "exec", "--class", "bulk", "--", "true")
	if got := c.from(t); got != "10.0.2.2" {
		t.Errorf("after another command it sends from %s", got)
	}
	made := must[[]string](t)(filepath.Glob(places))
	if err := os.MkdirAll(filepath.Join(made[0], "of", "its own"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.in.Close()
	_, _ = io.Copy(io.Discard, c.out)
	soon(t, "the next command sweeps", func() error {
		s.ok(t, "exec", "--class", "bulk", "--", "true")
		if left, _ := filepath.Glob(places); left != nil {
			return errors.New(strings.Join(left, " "))
		}
		return nil
	})
	s.seen.add(t, s.pins())
}

// TestExecUnheeded starts a command from a shell that ignores hang-ups and
// interrupts, as nohup does: the command ignores them, too.
func TestExecUnheeded(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.apply(t, strings.ReplaceAll(execPolicy, uplinkC, ""))
	out := must[string](t)(s.Host.Command("sh", "-c", `trap "" HUP INT; exec "$@"`, "sh",
		binary(t), "exec", "--class", "bulk", "--", "sed", "-n", `s/^SigIgn:\s*//p`, "/proc/self/status").Output())
	told := s.Host.Command("sh", "-c", `"$@" & sleep 2; kill -WINCH $!; wait $!`, "sh",
		binary(t), "exec", "--class", "bulk", "--", "sh", "-c", `trap "exit 9" WINCH; for n in $(seq 100); do sleep .1; done`)
	if err := told.Run(); err == nil || told.ProcessState.ExitCode() != 9 {
		t.Errorf("after SIGWINCH: %v, want exit code 9", err)
	}
	const both = 1<<(syscall.SIGHUP-1) | 1<<(syscall.SIGINT-1)
	if ignored := must[uint64](t)(strconv.ParseUint(strings.TrimSpace(out), 16, 64)); ignored&both != both {
		t.Errorf("it ignores the signals %#x, want %#x among them", ignored, both)
	}
	s.seen.add(t, s.pins())
}
