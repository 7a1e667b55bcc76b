// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestGoesBackWithoutItsTerminal applies for a time from a shell that ends:
// what waits has a session and descriptors of its own, does not mind a
// hang-up, goes on as the binary that takes the place of its own, and goes back in time.
func TestGoesBackWithoutItsTerminal(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.mark(t)
	s.apply(t, twoUplinks+closedGroup("b"))
	open := filepath.Join(t.TempDir(), "open")
	args := strings.Join(append([]string{"apply", "--confirm", "20s"}, s.writeAs(t, "try.yaml", twoUplinks+closedGroup("a"))...), " ")
	ours := filepath.Join(t.TempDir(), "waymark")
	s.shell(t, fmt.Sprintf("cp %s %[2]s; exec 9>%[3]s; %[2]s %[4]s", binary(t), ours, open, args))
	s.follow(t, "app.slice", byA)
	pid := s.waiting(t)
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("its session is %d (%v), want its own, %d", sid, err, pid)
	}
	for n, target := range s.descriptors(t, pid) {
		if target == open || n < 3 && target != "/dev/null" {
			t.Errorf("its descriptor %d is %s", n, target)
		}
	}
	if err := unix.Kill(pid, unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.shell(t, fmt.Sprintf("cp %s %[2]s.new; mv %[2]s.new %[2]s", binary(t), ours))
	s.ok(t, "move", "app.slice", "unclassed")
	eventuallyLong(t, "it is the binary that is there now", func() error {
		is, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
		if now := must[os.FileInfo](t)(os.Stat(ours)); err == nil && !os.SameFile(is, now) {
			err = errors.New("it is another")
		}
		return err
	})
	s.ok(t, "move", "--undo", "app.slice")
	eventuallyLong(t, "it goes back", func() error {
		if s.status(t).GoesBack != nil {
			return errors.New("it still waits")
		}
		return nil
	})
	s.follow(t, "app.slice", byB)
	eventuallyLong(t, "it ends", func() error {
		if err := unix.Kill(pid, 0); err == nil && !strings.Contains(string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)))), ") Z ") {
			return errors.New("it still runs")
		}
		return nil
	})
}

// TestAgentGoesBack has the process that waits for a deadline killed: the agent
// sees to it then, for a trial and for a move, at its next beat.
func TestAgentGoesBack(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	a := s.agent(t, twoUplinks+closedGroup("b"))
	for name, args := range map[string][]string{
		"trial": append([]string{"apply", "--confirm", "5s"}, s.writeAs(t, "try.txt", twoUplinks+closedGroup("a"))...),
		"move":  {"move", "app.slice", "unclassed", "--for", "5s"},
	} {
		s.ok(t, args...)
		given := time.Now()
		if err := unix.Kill(s.waiting(t), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		soon(t, "the agent goes back", func() error {
			if now := s.status(t); now.GoesBack != nil || len(now.Overrides) > 0 {
				return errors.New("it still waits")
			}
			return nil
		})
		t.Logf("%s: gone back %s after it was given 5 s", name, time.Since(given).Round(time.Millisecond))
		s.follow(t, "app.slice", byB)
	}
	s.seen.add(t, s.pins())
	a.stop(t)
}

// waiting is the pid of the process that waits for the deadline.
func (s *site) waiting(t *testing.T) int {
	t.Helper()
	for _, text := range strings.Fields(string(must[[]byte](t)(os.ReadFile(filepath.Join(s.CgroupRoot(), "cgroup.procs"))))) {
		line, _ := os.ReadFile("/proc/" + text + "/cmdline")
		if strings.Contains(string(line), "\x00wait\x00") {
			return must[int](t)(strconv.Atoi(text))
		}
	}
	t.Fatal("no process waits in the cgroup root")
	return 0
}

func (s *site) descriptors(t *testing.T, pid int) map[int]string {
	t.Helper()
	all := map[int]string{}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		n, _ := strconv.Atoi(e.Name())
		all[n], _ = os.Readlink(filepath.Join(dir, e.Name()))
	}
	return all
}
