// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waymark/internal/agent"
	"waymark/internal/lab"
)

// goes waits until new sockets of a cgroup go by a router.
func (s *site) goes(t *testing.T, cgroup string, router int) {
	t.Helper()
	want := s.Uplink(router).Address4
	soon(t, "the policy is in force", func() error {
		r, err := s.Host.Run(in(cgroup, v4.job(lab.UDP, 1)))
		if err == nil && r.Local.Addr() != want {
			err = fmt.Errorf("it goes from %s, want %s", r.Local.Addr(), want)
		}
		return err
	})
}

// TestReload changes the policy of an agent in every way there is.
func TestReload(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	a := s.agent(t, groupBy("b"))
	s.goes(t, "app.slice", byB)

	s.write(t, groupBy("c"))
	s.goes(t, "app.slice", byC)
	a.says(t, `flows="0 sockets"`)

	// An editor puts another file in its place.
	s.writeAs(t, "policy.yaml.new", groupBy("a"))
	if err := os.Rename(filepath.Join(s.dir, "policy.yaml.new"), filepath.Join(s.dir, "policy.yaml")); err != nil {
		t.Fatal(err)
	}
	s.goes(t, "app.slice", byA)

	s.write(t, groupBy("nosuch"))
	soon(t, "the broken policy is reported", func() error {
		for _, p := range s.record(t).Problems {
			if strings.Contains(p, "nosuch") {
				return nil
			}
		}
		return errors.New("no word of it")
	})
	s.goes(t, "app.slice", byA)
	s.write(t, groupBy("b"))
	s.goes(t, "app.slice", byB)
	soon(t, "nothing is wrong any more", func() error {
		if p := s.record(t).Problems; len(p) > 0 {
			return errors.New(p[0])
		}
		return nil
	})

	if log := a.logged(); strings.Contains(log, "took up") {
		t.Errorf("it takes its own policy for somebody's: %s", log)
	}
	// What is applied by hand stays, and what is damaged is healed to it. It is no
	// damage itself, if the host changed as well before the agent came to look.
	_ = a.Process.Signal(syscall.SIGSTOP)
	s.ok(t, append([]string{"apply"}, s.writeAs(t, "other.txt", groupBy("c"))...)...)
	s.shell(t, "ip route add 198.18.0.0/24 via 10.0.1.1")
	time.Sleep(600 * time.Millisecond) // until it has a look of its own to take as soon as it goes on
	_ = a.Process.Signal(syscall.SIGCONT)
	s.goes(t, "app.slice", byC)
	a.says(t, "took up what somebody applied")
	s.shell(t, "ip route del 198.18.0.0/24")
	had := s.heals(t, "rule")
	s.shell(t, "ip rule flush protocol 119")
	soon(t, "the rules are back", func() error {
		if s.heals(t, "rule") == had {
			return errors.New("no heal")
		}
		return nil
	})
	s.goes(t, "app.slice", byC)
	if log := a.logged(); strings.Contains(log, "kind=map") {
		t.Errorf("it takes what somebody applied for damage: %s", log)
	}

	told := a.told()
	_ = a.Process.Signal(syscall.SIGHUP)
	a.notified(t, "RELOADING=1", told)
	s.goes(t, "app.slice", byB)
	s.seen.add(t, s.pins())

	// Down by hand stays down until a reload.
	s.ok(t, "down")
	a.says(t, "nothing is applied any more")
	if _, err := os.Stat(s.pins()); err == nil {
		t.Error("the agent undid a down")
	}
	_ = a.Process.Signal(syscall.SIGHUP)
	s.goes(t, "app.slice", byB)
	soon(t, "the instance has its name", func() error {
		_, err := os.Stat(s.pins())
		return err
	})
	s.seen.add(t, s.pins())
	a.stop(t)
	for _, line := range []string{"WATCHDOG=1", "STATUS=", "STOPPING=1"} {
		a.notified(t, line, 0)
	}
}

// TestRunDirectoryEmptied takes its lock and its record from an agent that runs: it has
// them again, and no other begins beside it.
func TestRunDirectoryEmptied(t *testing.T) {
	s := newSite(t, lab.Options{})
	a := s.agent(t, groupBy("b"))
	for _, file := range s.runFiles() {
		s.check(t, os.Remove(file))
	}
	soon(t, "the agent is known again", func() error {
		if r, err := agent.Read(s.Host.Inode()); err != nil || r == nil || r.PID != a.Process.Pid {
			return fmt.Errorf("%v, %v", r, err)
		}
		return nil
	})
	second := s.Host.Command(s.command(t), append([]string{"run"}, s.write(t, groupBy("b"))...)...)
	second.Env = s.environ(second.Cmd)
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "runs already") {
		t.Errorf("a second one: %v: %s", err, out)
	}
	a.stop(t)
	s.ok(t, "down")
}

// TestReloadDuringTrial changes the files while another policy is on trial: they are
// applied when that went back, and the agent says once that they wait.
func TestReloadDuringTrial(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	a := s.agent(t, groupBy("b"))
	s.goes(t, "app.slice", byB)
	s.ok(t, append([]string{"apply", "--confirm", "5s"}, s.writeAs(t, "other.txt", groupBy("c"))...)...)
	s.goes(t, "app.slice", byC)
	a.says(t, "took up what somebody applied")
	s.write(t, groupBy("a"))
	a.says(t, "the policy files wait until state 2, which is on trial")
	s.goes(t, "app.slice", byC)
	s.goes(t, "app.slice", byA)
	if log := a.logged(); strings.Count(log, "on trial") != 1 || strings.Contains(log, "ERROR") {
		t.Errorf("its log is %s", log)
	}
}

// TestReloadPipe puts a pipe in the place of an agent's policy, which nobody ever
// writes to: the agent says so, and goes on.
func TestReloadPipe(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	a := s.agent(t, groupBy("b"))
	s.goes(t, "app.slice", byB)
	file := filepath.Join(s.dir, "policy.yaml")
	s.check(t, os.Remove(file))
	s.check(t, syscall.Mkfifo(file, 0o600))
	a.says(t, "what comes by a pipe can be read only once")
	s.check(t, os.Remove(file))
	s.write(t, groupBy("c"))
	s.goes(t, "app.slice", byC)
	a.stop(t)
	s.ok(t, "down")
}

// TestReloadFromElsewhere has the policy behind a symbolic link, and then in a
// directory that somebody else writes to all the time.
func TestReloadFromElsewhere(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.mark(t)
	at, behind := filepath.Join(s.dir, "at.yaml"), filepath.Join(t.TempDir(), "behind.yaml")
	write := func(file, by string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(groupBy(by)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(behind, "b")
	if err := os.Symlink(behind, at); err != nil {
		t.Fatal(err)
	}
	a := s.agentOn(t, "-f", at, "--cgroup-root", s.CgroupRoot())
	s.goes(t, "app.slice", byB)
	write(behind, "c")
	s.goes(t, "app.slice", byC)

	done, ended := make(chan struct{}), make(chan error)
	go func() {
		var err error
		for err == nil {
			select {
			case <-done:
				ended <- nil
				return
			case <-time.After(20 * time.Millisecond):
				err = os.WriteFile(filepath.Join(s.dir, "others"), nil, 0o644)
			}
		}
		ended <- err
	}()
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	write(at, "a")
	s.goes(t, "app.slice", byA)
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.seen.add(t, s.pins())
	a.stop(t)
}

// told is how many notices there were.
func (r *agentRun) told() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// TestAgentDies kills an agent under open connections: they and new ones go
// as before, and another agent takes up. While one runs there is no second.
func TestAgentDies(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	a := s.agent(t, fourClasses)
	open := s.openAll(t, "app.slice")
	before := s.state(t)
	second := s.waymark(t, append([]string{"run"}, s.write(t, fourClasses)...)...)
	if second.code != 1 || !strings.Contains(second.stderr, fmt.Sprintf("process %d", a.Process.Pid)) {
		t.Errorf("a second agent: exit %d: %s", second.code, second.stderr)
	}
	_ = a.Process.Signal(syscall.SIGSTOP)
	if err := os.WriteFile(fmt.Sprintf("/run/waymark/%d.json", s.Host.Inode()), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if o := s.waymark(t, "status"); o.code != 0 { // what the agent says of itself cannot be read, the rest can
		t.Errorf("status: exit %d: %s", o.code, o.stderr)
	}
	a.kill(t)
	if r := s.record(t); r != nil {
		t.Errorf("status speaks of a dead agent: %v", r)
	}
	open.stay(t, s, byB)
	s.follow(t, "app.slice", byB)
	a = s.agent(t, fourClasses)
	if diff := lines(before, s.state(t)); diff != "" {
		t.Errorf("the next agent changed something (-before +after):\n%s", diff)
	}
	a.stop(t)
	open.stay(t, s, byB)
	if left := s.runFiles(); len(left) != 1 { // what it counted, for the next one
		t.Errorf("the agent left %v", left)
	}
	if diff := lines(before, s.state(t)); diff != "" {
		t.Errorf("the agent's end changed something (-before +after):\n%s", diff)
	}
}

// TestFight takes the same rule away again and again: the agent tires, says
// so, and is there again when it is over. Who does it is named.
func TestFight(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	a := s.agent(t, fourClasses)
	c := s.Host.Command("/proc/self/exe", "be-a-meddler", "1001")
	pipe := must[io.WriteCloser](t)(c.StdinPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, "it is known who did it", func() error {
		for _, h := range s.record(t).Last {
			if h.Kind == "rule" && strings.Contains(h.By, fmt.Sprintf("(pid %d", c.Process.Pid)) {
				return nil
			}
		}
		return fmt.Errorf("the heals are %v", s.record(t).Last)
	})
	pipe.Close()
	soon(t, "the agent tires", func() error {
		s.shell(t, "ip rule del priority 1001 2>/dev/null || true")
		for _, p := range s.record(t).Problems {
			if strings.Contains(p, "held back") && strings.Contains(p, "priority 1001") {
				return nil
			}
		}
		return fmt.Errorf("no word of it: %v", s.record(t).Problems)
	})
	s.shell(t, "ip rule del priority 1001 2>/dev/null || true; ip rule del priority 1011")
	soon(t, "another rule is put back meanwhile", func() error {
		out, err := s.Host.Command("ip", "rule", "show", "priority", "1011").CombinedOutput()
		if err == nil && out == "" {
			err = errors.New("it is not there")
		}
		return err
	})
	s.planned(t, func() error { return nil })
	s.seen.add(t, s.pins())
	a.stop(t)
}

// TestCovered has somebody come before the rules that are in force.
func TestCovered(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	a := s.agent(t, fourClasses)
	for _, theirs := range []struct{ rule, says string }{
		{"priority 500 from all lookup main", "takes what"},
		{"priority 1001 from 192.0.2.1 lookup main", "rule priority 1001 belongs to"},
		{"priority 100 fwmark 0x1000000/0xff000000 lookup main", "fwmark 0x"},
	} {
		s.shell(t, "ip rule add "+theirs.rule)
		soon(t, "it is said", func() error {
			if p := strings.Join(s.record(t).Problems, "\n"); !strings.Contains(p, theirs.says) {
				return fmt.Errorf("of %s: %q", theirs.rule, p)
			}
			return nil
		})
		// What is ours is put back all the same.
		had := s.heals(t, "route")
		s.shell(t, "ip route del default table 7001")
		soon(t, "a route is put back", func() error {
			if s.heals(t, "route") == had {
				return errors.New("no heal")
			}
			return nil
		})
		s.shell(t, "ip rule del "+theirs.rule)
		soon(t, "it is over", func() error {
			if p := s.record(t).Problems; len(p) > 0 {
				return errors.New(p[0])
			}
			return nil
		})
	}
	s.seen.add(t, s.pins())
	a.stop(t)
}
