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

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// freshCgroups are the ways in which a cgroup is in a class: %d is a number
// that no other has. A process enters the last part.
var freshCgroups = []string{
	"system.slice/db-%d.service",
	"system.slice/db-%d.service/below",
	"a.slice/a-b%d.slice/unit-x.service",
	"plain/%d",
	"exact/one",
}

const freshPolicy = twoUplinks + `
classes:
  - name: fresh
    route: [b]
    match:
      - {cgroup: ["system.slice/db-*.service", "plain/[0-9]*"]}
      - {unit: "unit-?.service"}
      - {cgroup: exact/one}
`

// otherFreshPolicy names the same cgroups by other patterns, in another class.
const otherFreshPolicy = twoUplinks + `
classes:
  - {name: nobody, route: [a], match: [{cgroup: nobody.slice, uid: 4711}]}
  - {name: other, route: [b, a], match: [{cgroup: ["*/db-*", plain, exact]}, {unit: ["*.service", "a-*.slice"]}]}
`

// TestFreshCgroupIsArmed makes cgroups with nothing but the pinned programs
// at work: the first socket of the first process in each is in the class.
func TestFreshCgroupIsArmed(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 2})
	s.apply(t, freshPolicy)
	for _, way := range freshCgroups {
		if strings.Contains(way, "%d") {
			way = fmt.Sprintf(way, 7)
		}
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			s.leaves(t, in(way, v4.job(kind, 1)), byB)
		}
	}
	s.leaves(t, in("system.slice/dc-1.service", v4.job(lab.TCP, 1)), byA)
	s.leaves(t, in("b/unit-x.service", v4.job(lab.TCP, 1)), byA)
}

// TestArmingIsPutBack takes a hook away, and room: status says so, and the
// next apply gets the cgroups that were made without.
func TestArmingIsPutBack(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 2})
	s.apply(t, freshPolicy)
	s.unpin(t, "arm")
	const unarmed = "system.slice/db-1.service"
	s.leaves(t, in(unarmed, v4.job(lab.UDP, 1)), byA)
	if drift := s.status(t).Drift; len(drift.Attach) != 1 || drift.Attach[0].Program != "arm" {
		t.Errorf("drift is %+v, want the hook alone", drift)
	}
	s.apply(t, freshPolicy)
	s.leaves(t, in(unarmed, v4.job(lab.UDP, 1)), byB)

	s.leaveRoom(t, 1)
	s.cgroups(t, "system.slice/db-2.service")
	const roomless = "system.slice/db-3.service"
	s.leaves(t, in(roomless, v4.job(lab.UDP, 1)), byA)
	if status := s.status(t); status.Arming.Failed != 1 || !status.Drift.Classes {
		t.Errorf("status is %+v, drift %+v: want one that found no room", status.Arming, status.Drift)
	}
	s.apply(t, freshPolicy)
	s.leaves(t, in(roomless, v4.job(lab.UDP, 1)), byB)
	if status := s.status(t); status.Arming.Failed != 0 || !status.Drift.Empty() {
		t.Errorf("status is %+v, drift %+v: want all to be well", status.Arming, status.Drift)
	}
}

// TestArmedByInotify has an agent follow the cgroups on a kernel without the
// tracepoints: one that is made gets its class, and one that goes leaves no
// entry.
func TestArmedByInotify(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 2})
	s.by = lackingBinary(t, "internal/datapath/arm.go", "CanArm")
	s.cgroups(t, "there", "system.slice/db-0.service")
	a := s.agent(t, freshPolicy)
	if status := s.status(t); status.Arms || len(status.Notes) == 0 {
		t.Errorf("status says %v, %q; want a note that nothing arms cgroups", status.Arms, status.Notes)
	}
	if out := s.ok(t, "status"); !strings.Contains(out, "when inotify tells of them") {
		t.Errorf("status does not say how cgroups are followed:\n%s", out)
	}
	s.leaves(t, in("system.slice/db-0.service", v4.job(lab.UDP, 1)), byB)
	first := s.entries(t)
	for _, cgroup := range []string{"system.slice/db-1.service", "a.slice/a-b7.slice/unit-x.service", "new/and/deep/db-2.service"} {
		s.cgroups(t, cgroup)
	}
	soon(t, "they are armed", func() error {
		if n := s.entries(t); n != first+2 {
			return fmt.Errorf("%d entries, %d before", n, first)
		}
		return nil
	})
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
		s.leaves(t, in("system.slice/db-1.service", v6.job(kind, 1)), byB)
		s.leaves(t, in("a.slice/a-b7.slice/unit-x.service", v4.job(kind, 1)), byB)
	}
	if err := os.Remove(filepath.Join(s.CgroupRoot(), "system.slice/db-1.service")); err != nil {
		t.Fatal(err)
	}
	soon(t, "its entry is gone", func() error {
		if n := s.entries(t); n != first+1 {
			return fmt.Errorf("%d entries, want %d", n, first+1)
		}
		return nil
	})
	a.stop(t)
}

// TestTenThousandCgroups makes and removes them with a process in each that
// opens a socket at once: none is unclassed, and no entry is left.
func TestTenThousandCgroups(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 2})
	s.cgroups(t, "worker")
	s.apply(t, freshPolicy)
	before := s.entries(t)
	s.work(t, "worker", "be-everywhere", s.CgroupRoot(), fmt.Sprint(many(2000, 10_000)))
	if after := s.entries(t); after != before {
		t.Errorf("%d entries before, %d after", before, after)
	}
}

// TestCgroupsDuringApplies makes cgroups while the policy changes: none
// falls between two versions.
func TestCgroupsDuringApplies(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 2})
	s.cgroups(t, "worker")
	s.apply(t, freshPolicy)
	before := s.entries(t)
	c := s.Host.Command("/proc/self/exe", "be-everywhere", s.CgroupRoot(), fmt.Sprint(many(1500, 10_000))).In("worker")
	var said strings.Builder
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	applies := 0
	for running := true; running; applies++ {
		s.apply(t, []string{otherFreshPolicy, freshPolicy}[applies%2])
		select {
		case err := <-ended:
			if running = false; err != nil {
				t.Fatalf("after %d applies: %v: %s", applies, err, said.String())
			}
		default:
		}
	}
	t.Logf("%d applies", applies)
	s.apply(t, freshPolicy)
	if after := s.entries(t); after != before {
		t.Errorf("%d entries before, %d after", before, after)
	}
}

// TestBornInCgroup starts processes in cgroups with clone3, which puts them
// there before they exist.
func TestBornInCgroup(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 2})
	s.apply(t, freshPolicy)
	for i := range many(20, 500) {
		s.work(t, fmt.Sprintf("system.slice/db-%d.service", i), "be-classed")
	}
}

func many(short, longer int) int {
	if *long {
		return longer
	}
	return short
}

// unpin takes a hook away, and waits until the kernel has let its program go,
// which is after the link has.
func (s *site) unpin(t *testing.T, name string) {
	t.Helper()
	var ids []ebpf.ProgramID
	for id, of := range s.objects(t).programs {
		if of == name {
			ids = append(ids, id)
		}
	}
	if err := os.Remove(filepath.Join(s.pins(), name)); err != nil {
		t.Fatal(err)
	}
	eventually(t, name+" is gone", func() error {
		for _, id := range ids {
			if p, err := ebpf.NewProgramFromID(id); err == nil {
				p.Close()
				return fmt.Errorf("program %d is still there", id)
			}
		}
		return nil
	})
}

// liveCgroups is the outer map of cgroups, and which of it is in force: the lowest bit of the generation.
func (s *site) liveCgroups(t *testing.T) (outer *ebpf.Map, version uint32) {
	t.Helper()
	live := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), "live"), nil))
	defer live.Close()
	if err := live.Lookup(uint32(0), &version); err != nil {
		t.Fatal(err)
	}
	outer = must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), "cgroups"), nil))
	t.Cleanup(func() { outer.Close() })
	return outer, version & 1
}

// leaveRoom puts an empty map of n entries in the place of the one in force.
func (s *site) leaveRoom(t *testing.T, n uint32) {
	t.Helper()
	outer, version := s.liveCgroups(t)
	small := must[*ebpf.Map](t)(ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: n, Flags: unix.BPF_F_NO_PREALLOC}))
	defer small.Close()
	if err := outer.Put(version, small); err != nil {
		t.Fatal(err)
	}
}

// entries counts those of the map of cgroups in force.
func (s *site) entries(t *testing.T) (n int) {
	t.Helper()
	outer, version := s.liveCgroups(t)
	var id ebpf.MapID
	if err := outer.Lookup(version, &id); err != nil {
		t.Fatal(err)
	}
	inner := must[*ebpf.Map](t)(ebpf.NewMapFromID(id))
	defer inner.Close()
	var cgroup uint64
	var set uint32
	entries := inner.Iterate()
	for entries.Next(&cgroup, &set) {
		n++
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// beEverywhere makes cgroups below a root, goes into each, opens a socket,
// and removes what it made.
func beEverywhere(args []string) error {
	root := args[0]
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range count {
		way := freshCgroups[i%len(freshCgroups)]
		if strings.Contains(way, "%d") {
			way = fmt.Sprintf(way, i)
		}
		err := os.MkdirAll(filepath.Join(root, way), 0o755)
		if err == nil {
			err = enter(filepath.Join(root, way))
		}
		if err == nil {
			err = beClassed([]string{way})
		}
		if err := errors.Join(err, enter(filepath.Join(root, "worker"))); err != nil {
			return err
		}
		for dir := way; strings.Contains(dir, "/"); dir = filepath.Dir(dir) {
			if err := unix.Rmdir(filepath.Join(root, dir)); err != nil {
				return fmt.Errorf("remove %s: %w", dir, err)
			}
		}
	}
	return nil
}

func enter(cgroup string) error {
	return os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte("0"), 0)
}

// beClassed opens a socket, whose mark has to be a class's.
func beClassed(where []string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	mark, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK)
	if err == nil && mark == 0 {
		err = fmt.Errorf("a socket in %s is unclassed", strings.Join(where, ""))
	}
	return err
}
