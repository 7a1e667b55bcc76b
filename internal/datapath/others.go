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

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Other is a BPF program that is not of this build's, attached where ours are
// or would be.
type Other struct {
	Place string // in words
	Name  string
	ID    uint32
}

// Others are the programs of others at a cgroup directory and all below it, a
// program that is at several once, and at interfaces; and what tc does with
// marks there. A kernel without a kind of hook has none there.
func Others(cgroupRoot string, interfaces []string) (others []Other, uses []TCUse, err error) {
	if others, err = othersBelow(cgroupRoot); err != nil {
		return nil, nil, fmt.Errorf("look for BPF programs of others: %w", err)
	}
	for _, name := range interfaces {
		device, err := net.InterfaceByName(name)
		if err != nil {
			continue // it has gone since it was listed
		}
		for _, attach := range tcxAttach {
			found, err := othersAt(device.Index, attach)
			if err != nil {
				return nil, nil, fmt.Errorf("look for BPF programs of others at interface %s: %w", name, err)
			}
			for _, o := range found {
				o.Place = fmt.Sprintf("%s of interface %s", attach, name)
				others = append(others, o)
			}
		}
		byTC, filters, err := tcOf(device)
		if err != nil {
			return nil, nil, err
		}
		uses = append(uses, byTC...)
		others = append(others, filters...)
	}
	return others, uses, nil
}

// othersBelow are those at cgroups. Of a program that is at one hook of several,
// as that of every service may be, the first is named, and the others counted.
func othersBelow(cgroupRoot string) (others []Other, err error) {
	type program struct{ hook, name string }
	seen := map[program]int{}
	more := map[int]int{}
	err = filepath.WalkDir(cgroupRoot, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return ifRoot(err, path, cgroupRoot)
		}
		dir, err := os.Open(path)
		if err != nil {
			return ifRoot(err, path, cgroupRoot)
		}
		defer dir.Close()
		for _, hook := range slices.Sorted(maps.Keys(cgroupAttach)) {
			found, err := othersAt(int(dir.Fd()), cgroupAttach[hook])
			if err != nil {
				return fmt.Errorf("at hook %s of cgroup %s: %w", hook, path, err)
			}
			for _, o := range found {
				if k, ok := seen[program{hook, o.Name}]; ok {
					more[k]++
					continue
				}
				seen[program{hook, o.Name}] = len(others)
				o.Place = fmt.Sprintf("hook %s of cgroup %s", hook, path)
				others = append(others, o)
			}
		}
		return nil
	})
	for k, n := range more {
		others[k].Place += fmt.Sprintf(", and %d more of the name", n)
	}
	return others, err
}

// ifRoot is an error only at the top: what is below may go while it is walked.
func ifRoot(err error, path, root string) error {
	if path == root {
		return err
	}
	return nil
}

func othersAt(target int, attach ebpf.AttachType) (others []Other, err error) {
	attached, err := link.QueryPrograms(link.QueryOptions{Target: target, Attach: attach})
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, os.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, a := range attached.Programs {
		p, err := ebpf.NewProgramFromID(a.ID)
		if err != nil {
			continue // it has gone since it was listed
		}
		info, err := p.Info()
		p.Close()
		if err == nil && !isOurs(info.Name) {
			others = append(others, Other{Name: info.Name, ID: uint32(a.ID)})
		}
	}
	return others, nil
}

// isOurs tells whether a program has the name of one of ours.
func isOurs(name string) bool {
	_, atCgroup := cgroupAttach[name]
	_, atInterface := tcxAttach[name]
	return atCgroup || atInterface
}
