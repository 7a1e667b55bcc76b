// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// An engine is the real programs with real maps, attached nowhere: the kernel
// runs them on packets that are handed to it. Their packets have this
// process's cgroup, and the uid 0.
type engine struct {
	*datapath.Instance
	mask     plan.Mask
	programs map[string]*ebpf.Program // by name; ingress by "ingress 3" for each ifindex
	own      uint64                   // this process's cgroup
	ran      int
}

const engineUplinks = 8

// newEngine loads the tc programs, ingress once for each interface that
// packets are to come in by.
func newEngine(t testing.TB, mask plan.Mask, iifs int) *engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: it loads BPF programs")
	}
	bpffs, mounted, err := host.Bpffs()
	if err == nil && !mounted {
		err = host.MountBpffs(bpffs)
		t.Cleanup(func() {
			if err := host.UnmountBpffs(bpffs); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(bpffs, fmt.Sprintf("waymark-test-%d", os.Getpid()))
	e := &engine{mask: mask, programs: map[string]*ebpf.Program{}, own: ownCgroup(t)}
	if e.Instance, err = datapath.Create(dir, datapath.Settings{Mask: mask, Slots: 64, UplinkLimit: engineUplinks}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		if err := datapath.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	for iif := range iifs {
		e.load(t, bpf.WaymarkProgIngress, fmt.Sprintf("ingress %d", iif+1), uint32(iif+1))
	}
	e.load(t, bpf.WaymarkProgEgress, bpf.WaymarkProgEgress, 0)
	return e
}

func (e *engine) load(t testing.TB, program, as string, iif uint32) {
	t.Helper()
	spec, err := bpf.LoadWaymark()
	if err != nil {
		t.Fatal(err)
	}
	var runs [bpf.WaymarkLimitsMASK_RUNS]bpf.WaymarkMaskRun
	for k, r := range e.mask.Runs() {
		runs[k] = bpf.WaymarkMaskRun{Bits: r.Bits, Shift: r.Shift}
	}
	for name, value := range map[string]any{
		bpf.WaymarkVarMask: uint32(e.mask), bpf.WaymarkVarMaskRuns: runs,
		bpf.WaymarkVarUplinkLimit: uint32(engineUplinks), bpf.WaymarkVarMaster: iif, bpf.WaymarkVarLinkHeader: uint32(14),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			t.Fatal(err)
		}
	}
	for name := range spec.Programs {
		if name != program {
			delete(spec.Programs, name)
		}
	}
	maps := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if m, err := ebpf.LoadPinnedMap(filepath.Join(e.Dir(), name), nil); err == nil {
			defer m.Close()
			maps[name] = m
			spec.Maps[name].MaxEntries = m.MaxEntries()
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: maps})
	if err != nil {
		t.Fatalf("load %s: %v", program, err)
	}
	defer c.Close()
	e.programs[as] = c.DetachProgram(program)
	t.Cleanup(func() { e.programs[as].Close() })
}

// publish puts lines into the maps; line i has number 1 + i, as far as the
// mask goes. here is the cgroup that packets shall be in.
func (e *engine) publish(t testing.TB, lines []match.Match, here string) (marks []uint32) {
	t.Helper()
	p, marks := e.putInForce(t, lines, here)
	if err := errors.Join(e.Retire(), e.ForgetNumbers(p)); err != nil {
		t.Fatal(err)
	}
	return marks
}

// putInForce is publish as far as it can be retracted.
func (e *engine) putInForce(t testing.TB, lines []match.Match, here string) (p *plan.Plan, marks []uint32) {
	t.Helper()
	p = &plan.Plan{Mask: e.mask, Main: -1}
	p.WholeMarks = []uint32{0xca6c}
	p.Blocks = []plan.Block{{First: 1, Size: e.mask.Highest()}}
	for i, m := range lines {
		number := 1 + uint32(i)%e.mask.Highest()
		if i < int(e.mask.Highest()) {
			p.Classes = append(p.Classes, plan.Class{Number: number, Mark: e.mask.Spread(number), Slot: min(number, 63)})
		}
		p.Lines = append(p.Lines, plan.Line{Class: int(number) - 1, Match: m})
		marks = append(marks, e.mask.Spread(number))
	}
	scan := func(table *match.Table) (map[uint64]uint32, error) {
		walk, named := table.Walk(), map[uint64]uint32{}
		for name := range strings.SplitSeq(here, "/") {
			var set uint32
			if walk, set = walk.Enter(name); set != 0 {
				named[e.own] = set
			}
		}
		return named, nil
	}
	if err := e.Publish(p, datapath.Compile(p, match.Root{Level: match.AnyLevel}), scan); err != nil {
		t.Fatal(err)
	}
	return p, marks
}

// A skbContext is a struct __sk_buff, of which only the mark says something.
type skbContext [48]uint32

const contextMark = 2 // index of the mark

// run has the kernel run a program on a frame, and returns its verdict and
// the mark that the packet has then. What is shorter than its IP header, some
// kernels (6.18) do not take.
func (e *engine) run(t testing.TB, program string, frame []byte, mark uint32) (verdict int32, after uint32) {
	t.Helper()
	in, out := skbContext{contextMark: mark}, skbContext{}
	v, err := e.programs[program].Run(&ebpf.RunOptions{Data: frame, Context: in, ContextOut: &out})
	if errors.Is(err, unix.EINVAL) && len(frame) < 14+40 {
		t.Skip(lacksShort)
	}
	if err != nil {
		t.Fatalf("run %s on %x: %v", program, frame, err)
	}
	e.ran++
	return int32(v), out[contextMark]
}

// ownCgroup is the id of this process's cgroup.
func ownCgroup(t testing.TB) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(line, "0::/"); ok {
			root, err := host.CgroupRoot()
			if err != nil {
				t.Skip(err)
			}
			id, err := host.CgroupID(root, strings.TrimSpace(path))
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
	}
	t.Skip("this process is in no cgroup2")
	return 0
}
