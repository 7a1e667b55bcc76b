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

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestGoesBackWithoutItsTerminal applies for a time from a shell that ends:
// what waits has a session and descriptors of its own, does not mind a
// hang-up, and goes back in time.
func TestGoesBackWithoutItsTerminal(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.mark(t)
	s.apply(t, twoUplinks+closedGroup("b"))
	open := filepath.Join(t.TempDir(), "open")
	args := strings.Join(append([]string{"apply", "--confirm", "20s"}, s.writeAs(t, "try.yaml", twoUplinks+closedGroup("a"))...), " ")
	s.shell(t, fmt.Sprintf("exec 9>%s; %s %s", open, binary(t), args))
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
