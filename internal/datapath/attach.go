// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"waymark/bpf"
	"waymark/internal/plan"
)

// Attach puts a hook's program in its place and pins the link; a link that
// is pinned there already, by this instance or by one that it takes over from,
// is given the program anew if it is in the right place, and replaced otherwise.
func (i *Instance) Attach(h plan.Hook) error {
	program, err := i.take(copyFor(h))
	if err != nil {
		return err
	}
	defer program.Close()
	if h.Traces() {
		return i.attachTracepoint(h, program)
	}
	if h.AtInterface() {
		return i.attachInterface(h, program)
	}
	return i.attachCgroup(h, program)
}

// load verifies one program with this instance's maps and constants.
func (i *Instance) load(c copyOf) (*ebpf.Program, error) {
	spec, err := i.spec(c.program)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]uint32{
		bpf.WaymarkVarUplink:     c.uplink,
		bpf.WaymarkVarMaster:     c.master,
		bpf.WaymarkVarFiltered:   c.filtered,
		bpf.WaymarkVarLinkHeader: c.linkHeader,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, err
		}
	}
	collection, err := i.collect(spec)
	if err != nil {
		return nil, err
	}
	defer collection.Close()
	return collection.DetachProgram(c.program), nil
}

// linkHeader is the size of the header in front of an interface's packets.
func linkHeader(device *net.Interface, err error) uint32 {
	const ethernet = 14
	if err != nil || len(device.HardwareAddr) == 0 {
		return 0
	}
	return ethernet
}

// collect loads the programs of a specification, with this instance's maps,
// and with new ones where the instance has none.
func (i *Instance) collect(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	names := slices.Sorted(maps.Keys(spec.Programs))
	ours := i.named()
	used := mapsOf(spec.Programs)
	for name := range spec.Maps {
		if name[0] != '.' && !used[name] {
			delete(spec.Maps, name)
			delete(ours, name)
		}
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: ours, Cache: kernelTypes})
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		// Its errno is EACCES, and no caller should take that for a lack of rights.
		return nil, fmt.Errorf("load program %s: the verifier refuses it: %v", strings.Join(names, ", "), verifier)
	}
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", strings.Join(names, ", "), err)
	}
	return collection, nil
}

// mapsOf are the names of the maps that programs use.
func mapsOf(programs map[string]*ebpf.ProgramSpec) map[string]bool {
	used := map[string]bool{}
	for _, p := range programs {
		for _, instruction := range p.Instructions {
			if instruction.IsLoadFromMap() {
				used[instruction.Reference()] = true
			}
		}
	}
	return used
}

func (i *Instance) pin(h plan.Hook) string { return filepath.Join(i.dir, h.Pin) }

// attachCgroup attaches by link or not at all: the library's AttachCgroup
// would fall back to a flag that lets others replace the program.
func (i *Instance) attachCgroup(h plan.Hook, program *ebpf.Program) error {
	dir, err := os.Open(h.Place)
	if err != nil {
		return fmt.Errorf("attach %s: open cgroup: %w", h.Program, err)
	}
	defer dir.Close()
	if err := i.succeed(h); err != nil {
		return err
	}
	if i.attachedAt(h) {
		return i.update(h, program)
	}
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: program, Attach: cgroupAttach[h.Program]})
	if errors.Is(err, fs.ErrPermission) {
		if owner, ok := exclusive(int(dir.Fd()), cgroupAttach[h.Program]); ok {
			return plan.Conflicts{{What: fmt.Sprintf("the %s hook of cgroup %s", h.Program, h.Place), Owner: owner,
				Cure: "have it attached with BPF_F_ALLOW_MULTI, or as a link; or detach it with `bpftool cgroup detach`"}}
		}
	}
	if err != nil {
		return fmt.Errorf("attach %s to cgroup %s: %w", h.Program, h.Place, err)
	}
	defer l.Close()
	return i.repin(h, l)
}

var cgroupAttach = map[string]ebpf.AttachType{
	bpf.WaymarkProgSockCreate: ebpf.AttachCGroupInetSockCreate,
	bpf.WaymarkProgConnect4:   ebpf.AttachCGroupInet4Connect,
	bpf.WaymarkProgConnect6:   ebpf.AttachCGroupInet6Connect,
	bpf.WaymarkProgSendmsg4:   ebpf.AttachCGroupUDP4Sendmsg,
	bpf.WaymarkProgSendmsg6:   ebpf.AttachCGroupUDP6Sendmsg,
	bpf.WaymarkProgSetsockopt: ebpf.AttachCGroupSetsockopt,
	bpf.WaymarkProgAccepted:   ebpf.AttachCGroupSockOps,
	bpf.WaymarkProgArrive:     ebpf.AttachCGroupInetIngress,
}

var tcxAttach = map[string]ebpf.AttachType{
	plan.EgressProgram:  ebpf.AttachTCXEgress,
	plan.EntersProgram:  ebpf.AttachTCXIngress,
	plan.IngressProgram: ebpf.AttachTCXIngress,
}

// attachTCX is a variable for the tests of what other kernels get.
var attachTCX = link.AttachTCX

func (i *Instance) attachInterface(h plan.Hook, program *ebpf.Program) error {
	device, err := net.InterfaceByName(h.Place)
	if err != nil {
		return fmt.Errorf("attach %s to %s: %w", h.Program, h.Place, err)
	}
	if err := i.succeed(h); err != nil {
		return err
	}
	if i.attachedAt(h) {
		return i.update(h, program)
	}
	l, err := attachTCX(link.TCXOptions{Interface: device.Index, Program: program, Attach: tcxAttach[h.Program]})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return i.attachClsact(h, device.Index, program)
	}
	if err != nil {
		return fmt.Errorf("attach %s to %s: %w", h.Program, h.Place, err)
	}
	defer l.Close()
	return i.repin(h, l)
}

// update replaces the program of a hook in its place, without a gap.
func (i *Instance) update(h plan.Hook, program *ebpf.Program) error {
	if ok, err := i.replaceInClsact(h, program); ok || err != nil {
		return err
	}
	l, err := link.LoadPinnedLink(i.pin(h), nil)
	if err != nil {
		return fmt.Errorf("open link %s: %w", i.pin(h), err)
	}
	defer l.Close()
	if err := l.Update(program); err != nil {
		return fmt.Errorf("update %s at %s: %w", h.Program, h.Place, err)
	}
	return nil
}

// repin pins a link where another may be pinned, which is detached by that.
func (i *Instance) repin(h plan.Hook, l link.Link) error {
	if err := i.Detach(h); err != nil {
		return err
	}
	if err := l.Pin(i.pin(h)); err != nil {
		return fmt.Errorf("pin %s: %w", i.pin(h), err)
	}
	return nil
}

// Detach takes a hook's program from wherever its pin says it is.
func (i *Instance) Detach(h plan.Hook) error {
	if err := i.detachClsact(h); err != nil {
		return err
	}
	if err := i.unpin(h); err != nil {
		return fmt.Errorf("detach %s: %w", h.Program, err)
	}
	return nil
}
