// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// withoutTCX is a kernel before 6.6, with interfaces a and b and a BPF file
// system of its own, whose directory it returns.
func withoutTCX(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: it loads BPF programs in namespaces of its own")
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	dir := t.TempDir()
	err := errors.Join(
		unix.Unshare(unix.CLONE_NEWNET|unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("bpf", dir, "bpf", 0, ""),
		netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a", TxQLen: -1}, PeerName: "b"}))
	if err != nil {
		t.Fatal(err)
	}
	attach := attachTCX
	attachTCX = func(link.TCXOptions) (link.Link, error) { return nil, ebpf.ErrNotSupported }
	t.Cleanup(func() {
		attachTCX = attach
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func makeInstance(t *testing.T, dir string) *Instance {
	t.Helper()
	i, err := Create(dir, Settings{Mask: 0xb7000000, Slots: 64, UplinkLimit: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func egressAt(place string) plan.Hook {
	return plan.Hook{Program: plan.EgressProgram, Place: place, Pin: plan.EgressPin(0)}
}

func ingressAt(t *testing.T, place string) plan.Hook {
	t.Helper()
	return plan.Hook{Program: plan.IngressProgram, Place: place, Pin: plan.IngressPin(indexOf(t, place))}
}

// filters describes the filters of an interface: "egress waymark", or "no
// qdisc".
func filters(t *testing.T, place string) (lines []string) {
	t.Helper()
	index := indexOf(t, place)
	if _, err := qdiscKind(index); errors.Is(err, os.ErrNotExist) {
		return []string{"no qdisc"}
	}
	all, err := filtersOf(index)
	if err != nil {
		t.Fatal(err)
	}
	lines = []string{}
	for _, f := range all {
		b := f.(*netlink.BpfFilter)
		lines = append(lines, map[uint32]string{netlink.HANDLE_MIN_EGRESS: "egress ", netlink.HANDLE_MIN_INGRESS: "ingress "}[b.Parent]+b.Name)
	}
	return lines
}

func indexOf(t *testing.T, place string) int {
	t.Helper()
	l, err := netlink.LinkByName(place)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

func wantFilters(t *testing.T, place string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), filters(t, place)); diff != "" {
		t.Errorf("filters of %s: want (-) got (+):\n%s", place, diff)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addTheirs puts somebody's filter in, which does nothing.
func addTheirs(t *testing.T, index int) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}, License: "GPL"})
	do(t, err)
	defer p.Close()
	do(t, netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: filterPriority, Protocol: unix.ETH_P_ALL},
		Fd:          p.FD(), Name: "theirs", DirectAction: true,
	}))
}

func TestClsact(t *testing.T) {
	const ours, guest = "egress " + filterNameOwner, "egress " + filterName
	for name, test := range map[string]func(t *testing.T, dir string){
		"a qdisc of ours goes with the filter": func(t *testing.T, dir string) {
			i := makeInstance(t, filepath.Join(dir, "i"))
			do(t, i.Attach(egressAt("a")))
			wantFilters(t, "a", ours)
			do(t, i.Detach(egressAt("a")))
			wantFilters(t, "a", "no qdisc")
		},
		"somebody's qdisc stays": func(t *testing.T, dir string) {
			i := makeInstance(t, filepath.Join(dir, "i"))
			do(t, netlink.QdiscAdd(clsact(indexOf(t, "a"))))
			do(t, i.Attach(egressAt("a")))
			wantFilters(t, "a", guest)
			do(t, Remove(i.Dir()))
			wantFilters(t, "a")
		},
		"a qdisc that somebody uses meanwhile stays": func(t *testing.T, dir string) {
			i := makeInstance(t, filepath.Join(dir, "i"))
			do(t, i.Attach(egressAt("a")))
			addTheirs(t, indexOf(t, "a"))
			do(t, Remove(i.Dir()))
			wantFilters(t, "a", "egress theirs")
		},
		"both directions share a qdisc": func(t *testing.T, dir string) {
			i := makeInstance(t, filepath.Join(dir, "i"))
			do(t, i.Attach(egressAt("a")))
			do(t, i.Attach(ingressAt(t, "a")))
			wantFilters(t, "a", ours, "ingress "+filterNameOwner)
			do(t, i.Detach(egressAt("a")))
			wantFilters(t, "a", "ingress "+filterNameOwner)
			do(t, i.Detach(ingressAt(t, "a")))
			wantFilters(t, "a", "no qdisc")
		},
		"an ingress qdisc holds no egress program": func(t *testing.T, dir string) {
			i := makeInstance(t, filepath.Join(dir, "i"))
			do(t, netlink.QdiscAdd(&netlink.Ingress{QdiscAttrs: clsact(indexOf(t, "a")).QdiscAttrs}))
			var conflicts plan.Conflicts
			if err := i.Attach(egressAt("a")); !errors.As(err, &conflicts) {
				t.Errorf("%v, want a conflict", err)
			}
			do(t, i.Attach(ingressAt(t, "a")))
			do(t, Remove(i.Dir()))
			wantFilters(t, "a")
		},
		"a hook moves": func(t *testing.T, dir string) {
			i := makeInstance(t, filepath.Join(dir, "i"))
			do(t, i.Attach(egressAt("a")))
			do(t, i.Attach(egressAt("b")))
			wantFilters(t, "a", "no qdisc")
			wantFilters(t, "b", ours)
		},
		"an instance beside another": func(t *testing.T, dir string) {
			old, fresh := makeInstance(t, filepath.Join(dir, "old")), makeInstance(t, filepath.Join(dir, "fresh"))
			do(t, old.Attach(egressAt("a")))
			do(t, fresh.Attach(egressAt("a")))
			wantFilters(t, "a", ours, ours)
			do(t, Remove(old.Dir()))
			wantFilters(t, "a", ours)
			do(t, Remove(fresh.Dir()))
			wantFilters(t, "a", "no qdisc")
		},
		"an interface that is gone": func(t *testing.T, dir string) {
			i := makeInstance(t, filepath.Join(dir, "i"))
			do(t, i.Attach(egressAt("a")))
			do(t, netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: indexOf(t, "a")}}))
			do(t, Remove(i.Dir()))
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, withoutTCX(t)) })
	}
}

// TestClsactReplaces gives a filter another program: at every moment of it
// the pins lead to the filter, should the process die then.
func TestClsactReplaces(t *testing.T) {
	i := makeInstance(t, filepath.Join(withoutTCX(t), "i"))
	h := egressAt("a")
	var before *netlink.BpfFilter
	for n := range 3 {
		do(t, i.Attach(h))
		f, _, err := i.clsactFilter(h)
		do(t, err)
		if f == nil {
			t.Fatal("the pin leads to no filter")
		}
		if before != nil && (f.Handle != before.Handle || f.Id == before.Id) {
			t.Errorf("after attach %d: filter %x runs program %d, before %x ran %d; want another program in the same filter", n, f.Handle, f.Id, before.Handle, before.Id)
		}
		if diff := cmp.Diff([]plan.Hook{h}, must(i.Hooks("/"))(t)); diff != "" {
			t.Errorf("hooks: want (-) got (+):\n%s", diff)
		}
		before = f
	}
	for _, running := range []bool{false, true} { // killed before, and after, the filter got its program
		fresh := must(i.load(copyFor(h)))(t)
		do(t, fresh.Pin(i.pin(h)+nextSuffix))
		if running {
			f, _, _ := i.clsactFilter(h)
			f.Fd = fresh.FD()
			do(t, netlink.FilterReplace(f))
		}
		do(t, fresh.Close())
		do(t, i.Attach(h))
		wantFilters(t, "a", "egress "+filterNameOwner)
		if entries, _ := filepath.Glob(i.pin(h) + "*"); len(entries) != 1 {
			t.Errorf("pins %v, want one", entries)
		}
	}
	do(t, Remove(i.Dir()))
	wantFilters(t, "a", "no qdisc")
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
