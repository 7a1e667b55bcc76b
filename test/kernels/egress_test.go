// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

const next = -1 // TCX_NEXT, and for a filter TC_ACT_UNSPEC

// counting is a tc program that counts packets, and the map it counts in.
func counting(t *testing.T) (*ebpf.Program, *ebpf.Map) {
	t.Helper()
	m := must(ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}))(t)
	t.Cleanup(func() { m.Close() })
	return load(t, &ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, next).WithSymbol("end"), asm.Return(),
	}}), m
}

// counts skips if a datagram by uplink a is not counted.
func (s *stand) counts(t *testing.T, m *ebpf.Map) {
	t.Helper()
	var packets uint64
	must(s.Host.Run(s.job(lab.UDP, false)))(t)
	if err := m.Lookup(uint32(0), &packets); err != nil {
		t.Fatal(err)
	}
	if packets == 0 {
		t.Skip("the program was not run")
	}
}

func tryTCX(t *testing.T, s *stand) {
	p, m := counting(t)
	if err := s.attachTCX(t, p); err != nil {
		t.Skip(err)
	}
	s.counts(t, m)
}

func tryClsact(t *testing.T, s *stand) {
	p, m := counting(t)
	if err := s.attachClsact(t, p); err != nil {
		t.Skip(err)
	}
	s.counts(t, m)
}

// attachTCX attaches a program to the egress of uplink a, for one test.
func (s *stand) attachTCX(t *testing.T, p *ebpf.Program) error {
	index := s.uplink(t, 0)
	return s.Host.Do(func() error {
		l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: p, Attach: ebpf.AttachTCXEgress})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
}

// attachClsact does so by a filter.
func (s *stand) attachClsact(t *testing.T, p *ebpf.Program) error {
	nl, index := s.Host.Handle(), s.uplink(t, 0)
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if err := nl.QdiscAdd(qdisc); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := nl.QdiscDel(qdisc); err != nil {
			t.Error(err)
		}
	})
	return nl.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          p.FD(), DirectAction: true,
	})
}

// Flags of bpf_fib_lookup, and where fields are in struct bpf_fib_lookup.
const (
	lookupDirect = 1 << iota
	_
	_
	lookupSkipNeighbour
	lookupTable
	lookupMark

	fibSize, fibProtocol, fibIndex, fibAddress, fibTable, fibMark = 64, 1, 8, 32, 48, 52
)

// tryLookup asks for the route that a packet on its way out by uplink a
// would have, and sends it there.
func tryLookup(t *testing.T, s *stand, flags int32) {
	if err := s.Host.Sysctl("net.ipv4.conf.lo.forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	p := load(t, &ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: redirecting(flags | lookupSkipNeighbour)})
	if err := s.attachTCX(t, p); err != nil {
		if err := s.attachClsact(t, p); err != nil {
			t.Skip(err)
		}
	}
	s.works(t, s.job(lab.UDP, false))
}

func redirecting(flags int32) (code asm.Instructions) {
	const fib, hop, hopSize = -fibSize, -fibSize - 24, 20 // struct bpf_redir_neigh
	destination := binary.NativeEndian.Uint32(lab.Service4(1).AsSlice())
	ipv4 := int32(unix.ETH_P_IP>>8 | unix.ETH_P_IP<<8&0xff00)
	code = asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, 16, asm.Word), // skb->protocol
		asm.JNE.Imm(asm.R2, ipv4, "end"),
		asm.Mov.Imm(asm.R2, 0),
	}
	for at := hop; at < 0; at += 8 {
		code = append(code, asm.StoreMem(asm.RFP, int16(at), asm.R2, asm.DWord))
	}
	return append(code,
		asm.StoreImm(asm.RFP, fib, unix.AF_INET, asm.Byte),
		asm.StoreImm(asm.RFP, fib+fibProtocol, unix.IPPROTO_UDP, asm.Byte),
		asm.StoreImm(asm.RFP, fib+fibIndex, 1, asm.Word), // lo
		asm.LoadImm(asm.R2, int64(destination), asm.DWord), asm.StoreMem(asm.RFP, fib+fibAddress, asm.R2, asm.Word),
		asm.StoreImm(asm.RFP, fib+fibTable, table, asm.Word),
		asm.StoreImm(asm.RFP, fib+fibMark, mark, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, fib),
		asm.Mov.Imm(asm.R3, fibSize), asm.Mov.Imm(asm.R4, flags),
		asm.FnFibLookup.Call(),
		asm.JNE.Imm(asm.R0, 0, "end"),

		asm.StoreImm(asm.RFP, hop, unix.AF_INET, asm.Word),
		asm.LoadMem(asm.R2, asm.RFP, fib+fibAddress, asm.Word), asm.StoreMem(asm.RFP, hop+4, asm.R2, asm.Word),
		asm.LoadMem(asm.R1, asm.RFP, fib+fibIndex, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, hop),
		asm.Mov.Imm(asm.R3, hopSize), asm.Mov.Imm(asm.R4, 0),
		asm.FnRedirectNeigh.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, next).WithSymbol("end"), asm.Return(),
	)
}
