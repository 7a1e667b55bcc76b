// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"waymark/internal/lab"
)

// iterator is a program that is run once for each socket of a kind, with the
// socket in R1.
func iterator(t *testing.T, kind lab.Kind, body asm.Instructions) *ebpf.Program {
	t.Helper()
	code := append(asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, 8, asm.DWord), // the second field of every context
		asm.JEq.Imm(asm.R1, 0, "end"),             // the walk is over
	}, body...)
	return load(t, &ebpf.ProgramSpec{
		Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: string(kind),
		Instructions: append(code, asm.Mov.Imm(asm.R0, 0).WithSymbol("end"), asm.Return()),
	})
}

// walk runs an iterator over the host's sockets.
func (s *stand) walk(t *testing.T, p *ebpf.Program) {
	t.Helper()
	err := s.Host.Do(func() error {
		iter, err := link.AttachIter(link.IterOptions{Program: p})
		if err != nil {
			return err
		}
		defer iter.Close()
		r, err := iter.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	})
	if err != nil {
		t.Skip(err)
	}
}

// open is a connected socket without the mark.
func (s *stand) open(t *testing.T, kind lab.Kind) *lab.Client {
	t.Helper()
	c := must(s.Host.Open(s.job(kind, false)))(t)
	t.Cleanup(func() { c.Close() })
	if err := c.Opened.Err(); err != nil || c.Opened.Mark != 0 {
		t.Fatalf("mark %#x: %v", c.Opened.Mark, err)
	}
	return c
}

func tryRemark(t *testing.T, s *stand, kind lab.Kind) {
	p := iterator(t, kind, setMark())
	c := s.open(t, kind)
	s.walk(t, p)
	s.drain(t)
	r := must(c.Send(1, 16))(t)
	if way := s.way(t); r.Mark != mark || way != "b" {
		t.Skipf("mark %#x, by router %q", r.Mark, way)
	}
}

// tryStorage has a walk leave a note at a socket, and looks for it.
func tryStorage(t *testing.T, s *stand) {
	notes, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.SkStorage, Flags: 1 /* BPF_F_NO_PREALLOC */, KeySize: 4, ValueSize: 4,
		Key: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}, Value: &btf.Int{Name: "u32", Size: 4},
	})
	if err != nil {
		t.Skip(err)
	}
	defer notes.Close()
	seen := must(ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}))(t)
	defer seen.Close()
	s.open(t, lab.UDP)
	s.walk(t, iterator(t, lab.UDP, note(notes, asm.Instructions{asm.Mov.Imm(asm.R2, mark), asm.StoreMem(asm.R0, 0, asm.R2, asm.Word)})))
	s.walk(t, iterator(t, lab.UDP, note(notes, asm.Instructions{
		asm.LoadMem(asm.R6, asm.R0, 0, asm.Word),
		asm.JEq.Imm(asm.R6, 0, "end"),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, seen.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.StoreMem(asm.R0, 0, asm.R6, asm.DWord),
	})))
	var got uint64
	if err := seen.Lookup(uint32(0), &got); err != nil || got != mark {
		t.Skipf("found note %d: %v", got, err)
	}
}

// note leads R0 to the storage of the socket in R1, which is made with zero.
func note(notes *ebpf.Map, then asm.Instructions) asm.Instructions {
	return append(asm.Instructions{
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.LoadMapPtr(asm.R1, notes.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.Mov.Imm(asm.R4, 1), // BPF_SK_STORAGE_GET_F_CREATE
		asm.FnSkStorageGet.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
	}, then...)
}

func tryDestroy(t *testing.T, s *stand, kind lab.Kind) {
	types := must(btf.LoadKernelSpec())(t)
	var destroy *btf.Func
	if err := types.TypeByName("bpf_sock_destroy", &destroy); err != nil {
		t.Skip(err)
	}
	id := must(types.TypeID(destroy))(t)
	p := iterator(t, kind, asm.Instructions{
		{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: int64(id)},
	})
	c := s.open(t, kind)
	s.walk(t, p)
	if r := must(c.Send(1, 16))(t); r.Err() == nil {
		t.Skip("the socket still sends")
	}
}

// tryShortPacket has a program run on the first bytes of an IPv4 header.
func tryShortPacket(t *testing.T, _ *stand) {
	p := load(t, &ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: finish(next)})
	frame := make([]byte, 14+4)
	frame[12], frame[13], frame[14] = 0x08, 0x00, 0x45
	if _, _, err := p.Test(frame); err != nil {
		t.Skip(err)
	}
}

// tryLoop counts to a thousand.
func tryLoop(t *testing.T, _ *stand) {
	const turns = 1000
	long, word := &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}, &btf.Int{Name: "u32", Size: 4}
	function := func(name string, params ...btf.FuncParam) *btf.Func {
		return &btf.Func{Name: name, Linkage: btf.StaticFunc, Type: &btf.FuncProto{Return: long, Params: params}}
	}
	void := &btf.Pointer{Target: (*btf.Void)(nil)}
	p := load(t, &ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: asm.Instructions{
		btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, 0), function("count", btf.FuncParam{Name: "skb", Type: void})).WithSymbol("count"),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R1, turns),
		asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1}.WithReference("turn"),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -8),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnLoop.Call(),
		asm.LoadMem(asm.R0, asm.RFP, -8, asm.DWord), asm.Return(),
		btf.WithFuncMetadata(asm.LoadMem(asm.R3, asm.R2, 0, asm.DWord),
			function("turn", btf.FuncParam{Name: "n", Type: word}, btf.FuncParam{Name: "ctx", Type: void})).WithSymbol("turn"),
		asm.Add.Imm(asm.R3, 1),
		asm.StoreMem(asm.R2, 0, asm.R3, asm.DWord),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if got, _, err := p.Test(make([]byte, 64)); err != nil || got != turns {
		t.Skipf("%d turns: %v", got, err)
	}
}
