// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waymark/internal/host"
	"waymark/internal/lab"
)

// rebooted has a class that must not leak, one that may go elsewhere, and one
// that moves are made to.
const rebooted = threeUplinks + `
classes:
  - {name: closed, route: [b], otherwise: unreachable, match: [{cgroup: closed.slice}]}
  - {name: group, route: [b], match: [{cgroup: app.slice}]}
  - {name: other, route: [c], otherwise: unreachable, match: [{uid: 2999}]}
`

// TestReboot starts the agent in a namespace that has nothing but lo and the
// files of one before: it is ready before there is a link, nothing of a closed
// class leaves while they come one by one, in the worst order, and each first
// packet is right as soon as its uplink is there. Moves of before are in force,
// but for those whose time is over.
func TestReboot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	before := newSite(t, lab.Options{Uplinks: 3})
	before.stateDir = dir
	before.cgroups(t, "moved.slice", "hour.slice", "brief.slice", "back.slice")
	before.apply(t, rebooted)
	for _, move := range []string{"moved.slice other", "hour.slice other --for 1h", "brief.slice other --for 1s", "back.slice other", "--undo back.slice"} {
		before.ok(t, append([]string{"move"}, strings.Fields(move)...)...)
	}
	kept := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "moves.json")))
	before.ok(t, "down")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after down %s: %v, want that it does not exist", dir, err)
	}

	s := newSite(t, lab.Options{Uplinks: 3})
	s.stateDir = dir
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "moves.json"), kept, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.cgroups(t, "closed.slice", "app.slice", "moved.slice", "hour.slice", "brief.slice", "back.slice")
	s.unmade(t)
	s.agent(t, rebooted)
	s.before = "" // was without the interfaces
	end := s.insist(t, "closed.slice")
	for _, iface := range []string{"up-a", "up-c"} {
		s.comes(t, iface)
	}
	for _, f := range bothFamilies {
		s.leavesSoon(t, in("app.slice", f.job(lab.TCP, 1)), byA)
		s.leavesSoon(t, in("moved.slice", f.job(lab.TCP, 1)), byC)
		s.leavesSoon(t, in("hour.slice", f.job(lab.TCP, 1)), byC)
		s.leavesSoon(t, in("brief.slice", f.job(lab.TCP, 1)), byA)
		s.leavesSoon(t, in("back.slice", f.job(lab.TCP, 1)), byA)
	}
	s.comes(t, "up-b")
	for _, f := range bothFamilies {
		s.leavesSoon(t, in("app.slice", f.job(lab.TCP, 1)), byB)
		s.leavesSoon(t, in("closed.slice", f.job(lab.TCP, 1)), byB)
	}
	end()
}

// TestClosedWhileAnUplinkComes stops an apply that follows a new uplink at each
// of its changes: a class that must not leave by it does not, for all that IPv6
// looks for a way a second time where a class's own rules have none.
func TestClosedWhileAnUplinkComes(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "closed.slice")
	s.unmade(t)
	args := append([]string{"apply"}, s.write(t, rebooted)...)
	s.ok(t, args...)
	s.before = "" // was without the interfaces
	s.comes(t, "up-a")
	s.drain(t)
	job := in("closed.slice", v6.job(lab.RawPing, 1))
	job.Count, job.Timeout = 1, time.Millisecond
	n, _ := s.changesOf(t, args, func(change) bool {
		_, _ = s.Host.Run(job) // nobody answers
		return false
	})
	if n < 10 {
		t.Errorf("%d changes say nothing", n)
	}
	got := s.collect(t, func(p lab.Packet) bool { return p.Dst.Addr() == lab.Service6(1) })[byA]
	if len(got) > 0 {
		t.Errorf("router %d got %d packets of a class that leaves by router %d alone, the first %v", byA, len(got), byB, got[0])
	}
}

// unmade takes the host's interfaces away, until each of them comes: their
// names, addresses, routes and neighbours, all but the cables.
func (s *site) unmade(t *testing.T) {
	t.Helper()
	for n := range s.Routers {
		name := s.Uplink(n).Interface
		s.shell(t, fmt.Sprintf("ip link set %[1]s down; ip addr flush dev %[1]s; ip link set %[1]s name to-come-%[1]s", name))
	}
}

// comes is what a network manager does with an interface.
func (s *site) comes(t *testing.T, iface string) {
	t.Helper()
	s.shell(t, fmt.Sprintf("ip link set to-come-%[1]s name %[1]s", iface))
	if err := errors.Join(s.Host.SetLink(iface, true), s.Host.Restore(iface)); err != nil {
		t.Fatal(err)
	}
}

// insist has processes of a cgroup connect, again and again, to a service that
// nobody else asks. The end of it checks what of them the routers got: nothing,
// but at b.
func (s *site) insist(t *testing.T, cgroup string) (end func()) {
	t.Helper()
	done, ended := make(chan bool), make(chan int)
	go func() {
		for tries := 0; ; tries++ {
			for _, f := range bothFamilies {
				job := in(cgroup, f.job(lab.TCP, lab.Services))
				job.Timeout = 200 * time.Millisecond
				_, _ = s.Host.Run(job) // most are refused
			}
			select {
			case <-done:
				ended <- tries
				return
			default:
			}
		}
	}()
	insisting := func(p lab.Packet) bool {
		return p.Dst.Addr() == lab.Service4(lab.Services) || p.Dst.Addr() == lab.Service6(lab.Services)
	}
	seen := make([]*lab.Capture, len(s.Routers))
	for n, r := range s.Routers {
		seen[n] = must[*lab.Capture](t)(r.Capture("down"))
	}
	got := make([][]lab.Packet, len(s.Routers))
	return func() {
		soon(t, "the class reaches its uplink", func() error {
			for n, c := range seen {
				packets := must[[]lab.Packet](t)(c.Packets())
				got[n] = append(got[n], slices.DeleteFunc(packets, func(p lab.Packet) bool { return !insisting(p) })...)
			}
			if len(got[byB]) == 0 {
				return errors.New("nothing came")
			}
			return nil
		})
		close(done)
		if tries := <-ended; tries < 3 {
			t.Errorf("%d tries say nothing", tries)
		}
		for n, packets := range got {
			if n != byB && len(packets) > 0 {
				t.Errorf("router %d got %d packets of a class that leaves by router %d alone, the first %v", n, len(packets), byB, packets[0])
			}
		}
	}
}

// leavesSoon is leaves, once an agent has followed what came.
func (s *site) leavesSoon(t *testing.T, job lab.Job, router int) {
	t.Helper()
	job.Count, job.Size = 1, 16
	soon(t, fmt.Sprintf("%s of %s leaves by %d", job.Kind, job.Cgroup, router), func() error {
		s.drain(t)
		r := must[lab.Result](t)(s.Host.Run(job))
		if err := r.Err(); err != nil {
			return err
		}
		if at := s.collect(t, socketOf(job, r)); len(at[router]) == 0 {
			return fmt.Errorf("the routers got %v", at)
		}
		return nil
	})
	s.leaves(t, job, router)
}

// TestRebootDuringTrial starts the machine anew while the files that its agent begins
// with are on trial, and again: the policy before them comes back, until somebody
// applies them to stay.
func TestRebootDuringTrial(t *testing.T) {
	dir, file := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "policy.yaml")
	write := func(by string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(groupBy(by)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start := func() (s *site, apply []string) {
		s = newSite(t, lab.Options{Uplinks: 3})
		s.stateDir = dir
		s.cgroups(t, "app.slice")
		s.mark(t)
		return s, []string{"apply", "-f", file, "--cgroup-root", s.CgroupRoot()}
	}
	// end is the end of a machine's memory: what it kept in files is there after it.
	end := func(s *site) {
		t.Helper()
		kept := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "tried.json")))
		s.ok(t, "down")
		s.check(t, os.MkdirAll(dir, 0o755))
		s.check(t, host.Replace(filepath.Join(dir, "tried.json"), kept, 0o600))
	}
	s, apply := start()
	write("b")
	s.ok(t, apply...)
	write("c")
	s.ok(t, append(apply, "--confirm", "1h")...)
	s.goes(t, "app.slice", byC)
	end(s)

	for range 2 {
		s, apply = start()
		a := s.agentOn(t, apply[1:]...)
		a.says(t, "the policy files were tried, and nobody confirmed them")
		s.goes(t, "app.slice", byB)
		if text := s.ok(t, "status"); !strings.Contains(text, "agent says: the policy files were tried") {
			t.Errorf("status does not say why:\n%s", text)
		}
		a.stop(t)
		end(s)
	}
	s, apply = start()
	a := s.agentOn(t, apply[1:]...)
	s.goes(t, "app.slice", byB)
	s.ok(t, apply...)
	s.goes(t, "app.slice", byC)
	if _, err := os.Stat(filepath.Join(dir, "tried.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was tried is still kept: %v", err)
	}
	soon(t, "nothing is wrong any more", func() error {
		if all := s.record(t).Problems; len(all) > 0 {
			return fmt.Errorf("the agent says %q", all)
		}
		return nil
	})
	a.stop(t)
}

// TestMoveEndsAfterReboot applies, after a start of the machine and without an agent,
// what has a move for a time beside it: that ends when it would have.
func TestMoveEndsAfterReboot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := newSite(t, lab.Options{Uplinks: 3})
	s.stateDir = dir
	s.cgroups(t, "app.slice", "moved.slice")
	s.apply(t, rebooted)
	s.ok(t, "move", "moved.slice", "other", "--for", "20s")
	moved := time.Now()
	kept := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "moves.json")))
	s.ok(t, "down")
	s.check(t, os.MkdirAll(dir, 0o755))
	s.check(t, host.Replace(filepath.Join(dir, "moves.json"), kept, 0o600))
	s.apply(t, rebooted)
	s.leaves(t, in("moved.slice", v4.job(lab.TCP, 1)), byC)
	s.leavesSoon(t, in("moved.slice", v4.job(lab.TCP, 1)), byA)
	if took := time.Since(moved); took < 18*time.Second {
		t.Errorf("the move ended after %s", took)
	}
}
