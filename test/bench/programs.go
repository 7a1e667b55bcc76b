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
var empty = asm.Instructions{asm.Mov.Imm(asm.R0, tcNext), asm.Return()}

func loadProgram(name string, body asm.Instructions) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.SchedCLS, Instructions: body, License: "GPL"})
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", name, err)
	}
	return p, nil
}

// attach puts a program at the way out of a node's interface. It is gone when
// the link is closed or the interface goes.
func attach(n *lab.Node, iface string, body asm.Instructions) (l link.Link, err error) {
	p, err := loadProgram("bench", body)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	err = n.Do(func() error {
		device, err := net.InterfaceByName(iface)
		if err == nil {
			l, err = link.AttachTCX(link.TCXOptions{Interface: device.Index, Program: p, Attach: ebpf.AttachTCXEgress})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach a program to %s of %s: %w", iface, n.Name, err)
	}
	return l, nil
}
