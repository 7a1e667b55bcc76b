// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"waymark/internal/lab"
)

// empty is a program that lets everything pass.
var empty = asm.Instructions{asm.Mov.Imm(asm.R0, tcxNext), asm.Return()}

func loadProgram(name string, body asm.Instructions) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.SchedCLS, Instructions: body, License: "GPL"})
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", name, err)
	}
	return p, nil
}

// attach puts a program on an interface of a node; it goes with the
// interface, for it is a filter's life that ends with the link's descriptor.
func attach(n *lab.Node, iface string, where ebpf.AttachType, body asm.Instructions) error {
	p, err := loadProgram("bench", body)
	if err != nil {
		return err
	}
	defer p.Close()
	return n.Do(func() error {
		device, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		l, err := link.AttachTCX(link.TCXOptions{Interface: device.Index, Program: p, Attach: where})
		if err != nil {
			return fmt.Errorf("attach to %s of %s: %w", iface, n.Name, err)
		}
		kept = append(kept, l)
		return nil
	})
}

// kept holds links that would detach if they were garbage.
var kept []link.Link
