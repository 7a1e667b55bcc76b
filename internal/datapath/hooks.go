// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cilium/ebpf/link"

	"waymark/internal/plan"
)

// Hooks are the pinned hooks and where they are attached now: for one whose
// cgroup or interface is gone, or whose link somebody cut, Place says so in
// words. cgroupRoot is the directory that a link to it is named by.
func (i *Instance) Hooks(cgroupRoot string) ([]plan.Hook, error) {
	entries, err := os.ReadDir(i.dir)
	if err != nil {
		return nil, err
	}
	var hooks []plan.Hook
	for _, e := range entries {
		h, ok := pinned(e.Name())
		if !ok {
			continue
		}
		h.Place = i.place(h, cgroupRoot)
		hooks = append(hooks, h)
	}
	return hooks, nil
}

// pinned is the hook that a pin's name stands for.
func pinned(name string) (plan.Hook, bool) {
	if program, number, ok := strings.Cut(name, "-"); ok {
		n, err := strconv.Atoi(number)
		h := plan.Hook{Program: program, Pin: name}
		if program == plan.EgressProgram || program == plan.EntersProgram {
			h.Uplink = n
		}
		return h, err == nil && tcxAttach[program] != 0
	}
	h := plan.Hook{Program: name, Pin: name}
	_, atCgroup := cgroupAttach[name] // whose zero is a hook, too
	return h, atCgroup || h.Traces()
}

func (i *Instance) attachedAt(h plan.Hook) bool {
	if _, err := os.Stat(i.pin(h)); err != nil {
		return false
	}
	return i.place(h, h.Place) == h.Place
}

func (i *Instance) place(h plan.Hook, cgroupRoot string) string {
	switch f, ok, err := i.clsactFilter(h); {
	case err != nil:
		return "nowhere: " + err.Error()
	case f != nil:
		return interfacePlace(f.LinkIndex)
	case ok:
		return "nowhere: its filter is gone"
	}
	l, err := link.LoadPinnedLink(filepath.Join(i.dir, h.Pin), nil)
	if err != nil {
		return "nowhere: " + err.Error()
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return "nowhere: " + err.Error()
	}
	if c := info.Cgroup(); c != nil {
		return cgroupPlace(c.CgroupId, cgroupRoot)
	}
	if t := info.RawTracepoint(); t != nil {
		return tracepointPlace + t.Name
	}
	if t := info.TCX(); t != nil {
		return interfacePlace(int(t.Ifindex))
	}
	return fmt.Sprintf("a link of type %d", info.Type)
}

func cgroupPlace(id uint64, root string) string {
	stat, err := os.Stat(root)
	if err == nil {
		if s, ok := stat.Sys().(*syscall.Stat_t); ok && s.Ino == id {
			return root
		}
	}
	return fmt.Sprintf("cgroup id %d", id)
}

func interfacePlace(index int) string {
	if device, err := net.InterfaceByIndex(index); err == nil {
		return device.Name
	}
	return fmt.Sprintf("interface index %d, which is gone", index)
}
