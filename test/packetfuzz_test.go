// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/match"
)

// FuzzPacket feeds the tc programs any bytes with any mark: they change no
// bit outside the mask and no number that is there, and what ingress says of
// the class is what this file's reading of the packet and the list of lines
// say.
func FuzzPacket(f *testing.F) {
	e := newEngine(f, 0xb7000000, 1)
	marks := e.publish(f, packetLines, "")
	for _, c := range packetCases() {
		f.Add(ethernet(c.etherType, c.packet), uint32(0x42))
	}
	f.Fuzz(func(t *testing.T, frame []byte, mark uint32) {
		if len(frame) < 14 || len(frame) > 3000 {
			return // the kernel takes none such for a test
		}
		verdict, after := e.run(t, "ingress 1", frame, mark)
		if verdict != tcxNext {
			t.Errorf("ingress says %d", verdict)
		}
		want := mark
		flow, whole, later := readFrame(frame)
		line, ok := match.First(packetLines, flow)
		if whole && ok && e.mask.Gather(mark) == 0 && mark != 0xca6c {
			want = mark&^uint32(e.mask) | marks[line]
		}
		if after != want && !(later && (after^mark)&^uint32(e.mask) == 0) {
			t.Errorf("the mark is %#x, want %#x for %+v (%v)", after, want, flow, whole)
		}
		verdict, after = e.run(t, bpf.WaymarkProgEgress, frame, mark)
		if verdict != tcxNext || after != mark {
			t.Errorf("egress says %d, and makes the mark %#x", verdict, after)
		}
	})
}

// readFrame reads a frame's flow, as far as it is a whole packet. The ports
// of a later fragment are in another packet.
func readFrame(frame []byte) (f match.Flow, whole, later bool) {
	f.IIF = 1
	p := frame[14:]
	switch order.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return read4(f, p, len(frame))
	case unix.ETH_P_IPV6:
		return read6(f, p, len(frame))
	}
	return f, false, false
}

// most is the frame's length, which is all that a program knows of the
// packet's.
func read4(f match.Flow, p []byte, most int) (_ match.Flow, whole, later bool) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return f, false, false
	}
	start, end := int(p[0]&15)*4, int(order.BigEndian.Uint16(p[2:]))
	if start < 20 || end < start || end > most {
		return f, false, false
	}
	f.Src, f.Dst = netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
	f.Proto = uint32(p[9])
	if order.BigEndian.Uint16(p[6:])&0x1fff != 0 {
		return f, true, true
	}
	return readPorts(f, p, start, end)
}

func read6(f match.Flow, p []byte, most int) (_ match.Flow, whole, later bool) {
	if len(p) < 40 || p[0]>>4 != 6 {
		return f, false, false
	}
	start, end, next := 40, 40+int(order.BigEndian.Uint16(p[4:])), p[6]
	if end == 40 && next == unix.IPPROTO_HOPOPTS {
		end = most
	}
	for range 8 {
		if !isExtension(uint32(next)) || later {
			break
		}
		if start+8 > end || start+8 > len(p) {
			return f, false, false
		}
		size := 8 + 8*int(p[start+1])
		switch next {
		case unix.IPPROTO_AH:
			size = 8 + 4*int(p[start+1])
		case unix.IPPROTO_FRAGMENT:
			size, later = 8, order.BigEndian.Uint16(p[start+2:])&^7 != 0
		}
		next, start = p[start], start+size
	}
	if end > most || start > end || isExtension(uint32(next)) && !later {
		return f, false, false
	}
	f.Src, f.Dst = netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
	f.Proto = uint32(next)
	if later {
		return f, true, true
	}
	return readPorts(f, p, start, end)
}

func readPorts(f match.Flow, p []byte, start, end int) (_ match.Flow, whole, later bool) {
	if !hasPorts(f.Proto) {
		return f, true, false
	}
	if start+4 > end || start+4 > len(p) {
		return f, false, false
	}
	f.Sport, f.Dport = uint32(order.BigEndian.Uint16(p[start:])), uint32(order.BigEndian.Uint16(p[start+2:]))
	return f, true, false
}
