// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// failing runs the command like changesOf, and has those changes fail, undone,
// for which at has an error. It returns the exit code.
func (s *site) failing(t *testing.T, args []string, at func(change) unix.Errno) int {
	t.Helper()
	return s.traced(t, args, func(c change, thread int) (bool, error) {
		if c.after {
			return false, nil
		}
		if errno := at(c); errno != 0 {
			return false, fail(thread, errno)
		}
		return false, nil
	})
}

// fail makes the call that a thread is about to make fail, without its doing
// anything.
func fail(thread int, errno unix.Errno) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	asked := regs
	regs.Orig_rax = ^uint64(0)
	if err := unix.PtraceSetRegs(thread, &regs); err != nil {
		return err
	}
	var status unix.WaitStatus
	if err := unix.PtraceSyscall(thread, 0); err != nil {
		return err
	}
	if _, err := unix.Wait4(thread, &status, unix.WALL, nil); err != nil {
		return err
	}
	if err := unix.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	regs.Rax, regs.Orig_rax = uint64(-int64(errno)), asked.Orig_rax
	return unix.PtraceSetRegs(thread, &regs)
}

// TestNoSpace has the kernel refuse single calls of an apply, and then every
// one from there on, those that go back among them.
func TestNoSpace(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice", "other.slice")
	s.apply(t, killOld)
	before := s.state(t)
	for _, c := range []struct {
		kind  string
		errno unix.Errno
		nth   int
	}{
		{"bpf OBJ_PIN", unix.ENOSPC, 1}, {"bpf OBJ_PIN", unix.ENOSPC, 2}, {"bpf MAP_UPDATE_BATCH", unix.ENOMEM, 2},
		{"bpf MAP_UPDATE_ELEM", unix.EPERM, 3}, {"netlink 32", unix.ENOBUFS, 2}, {"renameat", unix.ENOSPC, 1},
	} {
		for _, policy := range []string{killNew, killMask} {
			t.Run(fmt.Sprintf("%s %d, %v", c.kind, c.nth, c.errno), func(t *testing.T) {
				seen := 0
				code := s.failing(t, applies(policy)(t, s), func(at change) unix.Errno {
					if at.kind == c.kind {
						seen++
					}
					if at.kind == c.kind && seen == c.nth {
						return c.errno
					}
					return 0
				})
				if code == 0 {
					t.Error("it did not fail")
					s.apply(t, killOld)
				}
				if diff := lines(before, s.state(t)); diff != "" {
					t.Errorf("it left a mark (-before +after):\n%s", diff)
				}
				s.follow(t, "app.slice", byB)
			})
		}
	}
	t.Run("for good", func(t *testing.T) {
		failing := false
		s.failing(t, applies(killNew)(t, s), func(at change) unix.Errno {
			if failing = failing || at.kind == "bpf MAP_UPDATE_BATCH"; failing {
				return unix.ENOMEM
			}
			return 0
		})
		s.follow(t, "app.slice", byB)
		s.waymark(t, "confirm") // nothing to confirm; it goes back first
		if o := s.waymark(t, append([]string{"plan", "--exit-code"}, s.write(t, killOld)...)...); o.code != 0 {
			t.Errorf("the next command did not go back: exit %d: %s%s", o.code, o.stdout, o.stderr)
		}
		s.follow(t, "app.slice", byB)
	})
}
