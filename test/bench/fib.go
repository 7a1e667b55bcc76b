// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// newLookup is the kernel's route lookup for a mark, over a program that
// does all but the lookup.
func newLookup(l *lab.Lab, mark uint32) (*probe, error) {
	base, err := loadProgram("base", lookupProgram(mark, false))
	if err != nil {
		return nil, err
	}
	program, err := loadProgram("lookup", lookupProgram(mark, true))
	if err != nil {
		base.Close()
		return nil, err
	}
	p := &probe{lab: l, base: base, program: program}
	err = l.Host.Do(func() error {
		code, _, err := program.Test(frame)
		if err == nil && code != 0 {
			err = fmt.Errorf("bpf_fib_lookup answers %d: it needs BPF_FIB_LOOKUP_MARK (Linux 6.10)", int32(code))
		}
		return err
	})
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// lookupProgram asks the kernel for the route of a marked packet to the
// bench's world, and returns the helper's answer.
func lookupProgram(mark uint32, ask bool) asm.Instructions {
	const (
		size     = 64     // of struct bpf_fib_lookup
		loopback = 1      // its index in every namespace
		flags    = 4 | 32 // BPF_FIB_LOOKUP_SKIP_NEIGH, BPF_FIB_LOOKUP_MARK
	)
	var params [size]byte
	params[0], params[1] = unix.AF_INET, unix.IPPROTO_UDP
	binary.NativeEndian.PutUint32(params[8:], loopback)
	copy(params[32:], address(1<<17-1).AsSlice())
	binary.NativeEndian.PutUint32(params[52:], mark)
	var body asm.Instructions
	for at := 0; at < size; at += 4 {
		body = append(body, asm.StoreImm(asm.RFP, int16(at-size), int64(int32(binary.NativeEndian.Uint32(params[at:]))), asm.Word))
	}
	body = append(body, asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -size),
		asm.Mov.Imm(asm.R3, size), asm.Mov.Imm(asm.R4, flags), asm.Mov.Imm(asm.R0, 0))
	if ask {
		body = append(body, asm.FnFibLookup.Call())
	}
	return append(body, asm.Return())
}
