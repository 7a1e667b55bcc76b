// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// questions are what the egress program asks the kernel with: flags of
// bpf_fib_lookup (bpf/kernel/calls.h).
var questions = map[plan.Family]struct{ family, flags int32 }{
	plan.IPv4: {unix.AF_INET, 1<<5 | 1<<2},         // MARK, SKIP_NEIGH
	plan.IPv6: {unix.AF_INET6, 1<<0 | 1<<3 | 1<<2}, // DIRECT, TBID, SKIP_NEIGH
}

// Silent are the families for which the kernel does not tell the egress
// program the way of a class: it knows no such question. One that this
// process has no right to ask passes for one that answers. It is asked once.
func Silent() (map[plan.Family]bool, error) {
	told.Lock()
	defer told.Unlock()
	if told.silent != nil {
		return told.silent, nil
	}
	silent := map[plan.Family]bool{}
	for f, q := range questions {
		answer, err := ask(q.family, q.flags)
		if errors.Is(err, fs.ErrPermission) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("ask the kernel for the way of a class, %s: %w", f, err)
		}
		silent[f] = answer == -int32(syscall.EINVAL)
	}
	told.silent = silent
	return silent, nil
}

// told is what the kernel has answered: it costs programs that are verified.
var told struct {
	sync.Mutex
	silent map[plan.Family]bool // nil: it was not asked yet
}

// ask has the kernel run one bpf_fib_lookup, from lo to nowhere in
// particular, and returns what it says.
func ask(family, flags int32) (answer int32, err error) {
	const size, ifindex, table = 64, 8, 48 // struct bpf_fib_lookup
	code := asm.Instructions{asm.Mov.Imm(asm.R2, 0)}
	for at := -size; at < 0; at += 8 {
		code = append(code, asm.StoreMem(asm.RFP, int16(at), asm.R2, asm.DWord))
	}
	code = append(code,
		asm.StoreImm(asm.RFP, -size, int64(family), asm.Byte),
		asm.StoreImm(asm.RFP, -size+ifindex, 1, asm.Word),
		asm.StoreImm(asm.RFP, -size+table, unix.RT_TABLE_MAIN, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -size),
		asm.Mov.Imm(asm.R3, size), asm.Mov.Imm(asm.R4, flags),
		asm.FnFibLookup.Call(),
		asm.Return())
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "ask", Type: ebpf.SchedCLS, License: "GPL", Instructions: code})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	said, _, err := p.Test(make([]byte, 64))
	return int32(said), err
}
