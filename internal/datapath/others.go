// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"net"
	"os"

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

// Others are the programs of others at a cgroup directory and at interfaces.
// A kernel without a kind of hook has none there.
func Others(cgroupRoot string, interfaces []string) (others []Other, err error) {
	dir, err := os.Open(cgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("look for BPF programs of others: %w", err)
	}
	defer dir.Close()
	for name, attach := range cgroupAttach {
		found, err := othersAt(int(dir.Fd()), attach, fmt.Sprintf("hook %s of cgroup %s", name, cgroupRoot))
		if err != nil {
			return nil, err
		}
		others = append(others, found...)
	}
	for _, name := range interfaces {
		device, err := net.InterfaceByName(name)
		if err != nil {
			continue // it has gone since it was listed
		}
		for _, attach := range tcxAttach {
			found, err := othersAt(device.Index, attach, fmt.Sprintf("%s of interface %s", attach, name))
			if err != nil {
				return nil, err
			}
			others = append(others, found...)
		}
	}
	return others, nil
}

func othersAt(target int, attach ebpf.AttachType, place string) (others []Other, err error) {
	attached, err := link.QueryPrograms(link.QueryOptions{Target: target, Attach: attach})
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, os.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for BPF programs of others at %s: %w", place, err)
	}
	for _, a := range attached.Programs {
		p, err := ebpf.NewProgramFromID(a.ID)
		if err != nil {
			continue // it has gone since it was listed
		}
		info, err := p.Info()
		p.Close()
		if err == nil && !isOurs(info.Name) {
			others = append(others, Other{Place: place, Name: info.Name, ID: uint32(a.ID)})
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
