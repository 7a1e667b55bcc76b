// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"waymark/bpf"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// Scan looks through the cgroup tree and returns the ids of the cgroups that
// a table has an entry for, with their sets.
type Scan func(*match.Table) (map[uint64]uint32, error)

// spareCgroups is the room for cgroups that are made after an apply.
const spareCgroups = 16384

// putVersion fills the version that is not in force. Its maps are in their
// place before the tree is looked through, so that a cgroup that is made by
// then is armed by the program, and one that is there is found. No program may
// meet the table of one apply and the cgroups of another.
func (i *Instance) putVersion(version uint32, table *match.Table, scan Scan) error {
	if err := i.maps.Tables.Delete(version); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("make room for the table of matches: %w", err)
	}
	there, err := scan(table)
	if err != nil {
		return err
	}
	cgroups, err := i.inner(bpf.WaymarkMapCgroups, max(2*len(there), spareCgroups))
	if err != nil {
		return fmt.Errorf("make the table of cgroups: %w", err)
	}
	defer cgroups.Close()
	if err := both(func() error {
		if err := i.maps.Cgroups.Put(version, cgroups); err != nil {
			return fmt.Errorf("put the table of cgroups in its place: %w", err)
		}
		return nil
	}, func() error {
		if err := i.putTable(version, table); err != nil {
			return fmt.Errorf("fill the table of matches: %w", err)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := i.maps.Armed.Put(uint32(0), bpf.WaymarkArming{}); err != nil {
		return fmt.Errorf("clear the count of cgroups: %w", err)
	}
	if err := i.putCgroups(cgroups, table, scan); err != nil {
		return fmt.Errorf("fill the table of cgroups: %w", err)
	}
	if !i.Arms() {
		return nil // user space enters those that are made: Rearm
	}
	if err := cgroups.Freeze(); err != nil {
		return fmt.Errorf("freeze the table of cgroups: %w", err)
	}
	return nil
}

// putCgroups enters the cgroups that are there. One that goes while they are
// looked for may have been entered after it went: then it is taken out.
func (i *Instance) putCgroups(m *ebpf.Map, table *match.Table, scan Scan) error {
	before, err := i.Arming()
	if err != nil {
		return err
	}
	there, err := scan(table)
	if err != nil || len(there) == 0 {
		return err
	}
	ids, sets := make([]uint64, 0, len(there)), make([]uint32, 0, len(there))
	for id, set := range there {
		ids, sets = append(ids, id), append(sets, set)
	}
	if _, err := m.BatchUpdate(ids, sets, nil); err != nil {
		return err
	}
	after, err := i.Arming()
	if err != nil || after.Removed == before.Removed {
		return err
	}
	left, err := scan(table)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, is := left[id]; is {
			continue
		}
		if err := m.Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// Arming is what became of the cgroups that were made and removed since the
// last Publish.
type Arming struct {
	Armed   uint64 `json:"armed"`   // times that one got its class when it was made
	Removed uint64 `json:"removed"` // of the whole tree
	Failed  uint64 `json:"failed"`  // there was no room: they are in no class of theirs
}

// Arming reads the counts.
func (i *Instance) Arming() (a Arming, err error) {
	var r bpf.WaymarkArming
	if err := i.maps.Armed.Lookup(uint32(0), &r); err != nil {
		return a, fmt.Errorf("read the count of cgroups: %w", err)
	}
	return Arming{Armed: r.Armed, Removed: r.Removed, Failed: r.Failed}, nil
}

// Arms tells whether cgroups are armed, as far as the pins say. Reading the
// kernel's types, which CanArm does, takes longer than a small change.
func (i *Instance) Arms() bool {
	for program := range tracepoints {
		if !i.pinned(program) {
			return false
		}
	}
	return true
}

// Traces is what the function of that name would say, from the pins where
// they tell: what is attached can be.
func (i *Instance) Traces() map[string]bool {
	found := map[string]bool{}
	for _, h := range plan.TracePrograms {
		if found[h.Program] = i.pinned(h.Program); !found[h.Program] {
			return Traces()
		}
	}
	return found
}

func (i *Instance) pinned(name string) bool {
	_, err := os.Stat(filepath.Join(i.dir, name))
	return err == nil
}

// CanArm tells whether the kernel has the tracepoints at which cgroups are
// armed.
func CanArm() bool {
	kernel, err := kernelTypes.Kernel()
	if err != nil {
		return false
	}
	for _, tracepoint := range tracepoints {
		var found *btf.Typedef
		if kernel.TypeByName("btf_trace_"+tracepoint, &found) != nil {
			return false
		}
	}
	return true
}

// Traces are those of plan.TracePrograms that can be attached: kfree_skb has
// told the reason since 5.17.
func Traces() map[string]bool {
	return map[string]bool{
		bpf.WaymarkProgDropped: arguments("kfree_skb") >= 3,
		bpf.WaymarkProgDeparts: arguments("net_dev_start_xmit") >= 2,
		bpf.WaymarkProgSends:   arguments("sock_send_length") >= 2,
	}
}

// arguments is how many of them a tracepoint has; 0 if there is none.
func arguments(tracepoint string) int {
	kernel, err := kernelTypes.Kernel()
	if err != nil {
		return 0
	}
	var found *btf.Typedef
	if kernel.TypeByName("btf_trace_"+tracepoint, &found) != nil {
		return 0
	}
	if pointer, ok := found.Type.(*btf.Pointer); ok {
		if proto, ok := pointer.Target.(*btf.FuncProto); ok {
			return len(proto.Params) - 1 // the first is the tracepoint's own
		}
	}
	return 0
}

// tracepoints are where the programs that follow the cgroup tree go.
var tracepoints = map[string]string{
	bpf.WaymarkProgArm:    "cgroup_mkdir",
	bpf.WaymarkProgDisarm: "cgroup_rmdir",
}

const tracepointPlace = "tracepoint "

// attachTracepoint attaches a program beside the one that may be there: such
// a link cannot be updated, and twice does no harm.
func (i *Instance) attachTracepoint(h plan.Hook, program *ebpf.Program) error {
	l, err := link.AttachTracing(link.TracingOptions{Program: program})
	if err != nil {
		return fmt.Errorf("attach %s to %s: %w", h.Program, h.Place, err)
	}
	defer l.Close()
	return i.repin(h, l)
}
