// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestTwoAtOnce runs commands side by side, many times: in the end it is as
// if the one had come after the other.
func TestTwoAtOnce(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice", "other.slice")
	s.mark(t)
	one := append([]string{"apply"}, s.writeAs(t, "one.yaml", killOld)...)
	two := append([]string{"apply"}, s.writeAs(t, "two.yaml", killNew)...)
	masked := append([]string{"apply"}, s.writeAs(t, "masked.yaml", killMask)...)
	for n := range many(3, 40) {
		for _, commands := range [][][]string{{one, two}, {one, {"down"}}, {two, masked}, {one, two, {"down"}, {"rollback"}}} {
			var all sync.WaitGroup
			for _, args := range commands {
				all.Go(func() {
					if o := s.waymark(t, args...); o.code != 0 && args[0] != "rollback" {
						t.Errorf("waymark %s: exit %d: %s", strings.Join(args, " "), o.code, o.stderr)
					}
				})
			}
			all.Wait()
			s.oneOf(t, one, two, masked)
		}
		if n%3 == 2 {
			s.ok(t, "down")
			s.gone(t)
		}
	}
}

// oneOf checks that one of the policies is in force, or none.
func (s *site) oneOf(t *testing.T, commands ...[]string) {
	t.Helper()
	for _, apply := range commands {
		if s.waymark(t, append([]string{"plan", "--exit-code"}, apply[1:]...)...).code == 0 {
			return
		}
	}
	if diff := lines(s.before, s.state(t)); diff != "" {
		t.Errorf("none of the policies is in force, and there is more than before:\n%s", diff)
	}
}

// TestWaitsForTheLock has somebody else hold the lock: a command waits, says
// for whom, and goes on.
func TestWaitsForTheLock(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	var held *os.File
	if err := s.Host.Do(func() (err error) {
		if held, err = os.Open("/proc/thread-self/ns/net"); err == nil {
			err = unix.Flock(int(held.Fd()), unix.LOCK_EX)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	said := &firstLine{line: make(chan string, 1)}
	c := s.Host.Command(binary(t), "down")
	c.Stderr = said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("waymark: waiting for pid %d (%s) to finish\n", os.Getpid(), filepath.Base(os.Args[0]))
	if line := <-said.line; line != want {
		t.Errorf("it says %q, want %q", line, want)
	}
	held.Close()
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
}

// firstLine hands on what is written first. Its buffer is not embedded: with
// ReadFrom, what copies into it would never call Write.
type firstLine struct {
	text bytes.Buffer
	line chan string
}

func (f *firstLine) String() string { return f.text.String() }

func (f *firstLine) Write(p []byte) (int, error) {
	before := f.text.Len()
	n, err := f.text.Write(p)
	if before == 0 {
		f.line <- string(p)
	}
	return n, err
}
