// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// Where fields are in the contexts of the hooks (linux/bpf.h).
const (
	sockMark        = 16 // struct bpf_sock
	sockAddrSource4 = 40 // struct bpf_sock_addr
	sockAddrSource6 = 44
)

const allow = 1

func addresses(v6 bool) []netip.AddrPort {
	if v6 {
		return []netip.AddrPort{netip.AddrPortFrom(lab.Service6(1), port)}
	}
	return []netip.AddrPort{netip.AddrPortFrom(lab.Service4(1), port)}
}

func trySockCreate(t *testing.T, s *stand) {
	s.attachCgroup(t, load(t, &ebpf.ProgramSpec{
		Type: ebpf.CGroupSock, AttachType: ebpf.AttachCGroupInetSockCreate,
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R2, mark),
			asm.StoreMem(asm.R1, sockMark, asm.R2, asm.Word),
			asm.Mov.Imm(asm.R0, allow), asm.Return(),
		},
	}), ebpf.AttachCGroupInetSockCreate)
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
		s.works(t, s.job(kind, false))
		s.works(t, s.job(kind, true))
	}
}

// setMark sets SO_MARK on the socket that R1 points to, or is the context of.
func setMark() asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, mark, asm.Word),
		asm.Mov.Imm(asm.R2, unix.SOL_SOCKET),
		asm.Mov.Imm(asm.R3, unix.SO_MARK),
		asm.Mov.Reg(asm.R4, asm.RFP), asm.Add.Imm(asm.R4, -4),
		asm.Mov.Imm(asm.R5, 4),
		asm.FnSetsockopt.Call(),
	}
}

func finish(verdict int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()}
}

// hookAddresses attaches a program to a hook of both families.
func (s *stand) hookAddresses(t *testing.T, at4, at6 ebpf.AttachType, body func(v6 bool) asm.Instructions) {
	t.Helper()
	for _, at := range []ebpf.AttachType{at4, at6} {
		s.attachCgroup(t, load(t, &ebpf.ProgramSpec{
			Type: ebpf.CGroupSockAddr, AttachType: at, Instructions: append(body(at == at6), finish(allow)...),
		}), at)
	}
}

func tryConnect(t *testing.T, s *stand) {
	s.hookAddresses(t, ebpf.AttachCGroupInet4Connect, ebpf.AttachCGroupInet6Connect, func(bool) asm.Instructions { return setMark() })
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
		s.works(t, s.job(kind, false))
		s.works(t, s.job(kind, true))
	}
}

// trySendmsg looks at the mark alone: it steers from the next datagram on.
func trySendmsg(t *testing.T, s *stand) {
	s.hookAddresses(t, ebpf.AttachCGroupUDP4Sendmsg, ebpf.AttachCGroupUDP6Sendmsg, func(bool) asm.Instructions { return setMark() })
	for _, v6 := range []bool{false, true} {
		if r := must(s.Host.Run(s.job(lab.SendTo, v6)))(t); r.Mark != mark {
			t.Skipf("the socket's mark is %#x", r.Mark)
		}
	}
}

func trySource(t *testing.T, s *stand) {
	b := s.Uplink(1)
	s.hookAddresses(t, ebpf.AttachCGroupUDP4Sendmsg, ebpf.AttachCGroupUDP6Sendmsg, func(v6 bool) (code asm.Instructions) {
		source, offset := b.Address4.AsSlice(), int16(sockAddrSource4)
		if v6 {
			source, offset = b.Address6.AsSlice(), sockAddrSource6
		}
		for word := 0; word < len(source); word += 4 {
			code = append(code,
				asm.LoadImm(asm.R2, int64(binary.NativeEndian.Uint32(source[word:])), asm.DWord),
				asm.StoreMem(asm.R1, offset+int16(word), asm.R2, asm.Word))
		}
		return code
	})
	s.works(t, s.job(lab.SendTo, false))
	s.works(t, s.job(lab.SendTo, true))
}
