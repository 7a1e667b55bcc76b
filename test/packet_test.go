// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/datapath"
	"waymark/internal/match"
)

// The lines that the packets of the table are held against. The last holds
// for all that is a packet at all.
var packetLines = []match.Match{
	{Dst: []netip.Prefix{netip.MustParsePrefix("203.0.113.9/32"), netip.MustParsePrefix("2001:db8:f::9/128")}},
	{Proto: exactly(unix.IPPROTO_UDP), Dport: exactly(9)},
	{Proto: exactly(unix.IPPROTO_TCP), Dport: exactly(443)},
	{Src: []netip.Prefix{netip.MustParsePrefix("::/0")}, Proto: exactly(unix.IPPROTO_ICMPV6)},
	{Proto: exactly(unix.IPPROTO_ESP)},
	{Proto: exactly(unix.IPPROTO_SCTP), Dport: exactly(9)},
	{Proto: exactly(unix.IPPROTO_UDPLITE), Dport: exactly(9)},
	{Proto: exactly(unix.IPPROTO_DCCP), Dport: exactly(9)},
	{Proto: []match.Range{{Lo: 0, Hi: 255}}},
}

const (
	lineDst = iota
	lineUDP
	lineTCP
	lineICMPv6
	lineESP
	lineSCTP
	lineLite
	lineDCCP
	lineAny
	noLine = -1
)

// A packetCase is a packet by hand, from its ethertype on.
type packetCase struct {
	name      string
	etherType uint16
	packet    []byte
	line      int
}

var packet4, packet6 = addressed(netip.MustParseAddr("203.0.113.1")), addressed(netip.MustParseAddr("2001:db8:f::1"))

// addressed is a header and its payload of a family, with room for lies.
func addressed(to netip.Addr) func(proto byte, payload []byte, lies ...func(h []byte)) []byte {
	return func(proto byte, payload []byte, lies ...func(h []byte)) []byte {
		var h []byte
		if to.Is4() {
			h = append([]byte{0x45, 0, 0, 0, 0, 7, 0, 0, 64, proto, 0, 0, 192, 0, 2, 1}, to.AsSlice()...)
			order.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
		} else {
			from := netip.MustParseAddr("2001:db8::1").As16()
			h = append(append([]byte{0x60, 0, 0, 0, 0, 0, proto, 64}, from[:]...), to.AsSlice()...)
			order.BigEndian.PutUint16(h[4:], uint16(len(payload)))
		}
		h = append(h, payload...)
		for _, lie := range lies {
			lie(h)
		}
		return h
	}
}

// put writes bytes at an offset of the header.
func put(at int, bytes ...byte) func([]byte) { return func(h []byte) { copy(h[at:], bytes) } }

func cut(n int, packet []byte) []byte { return packet[:n] }

// ports9 is the beginning of a transport header with the destination port 9.
func ports9(more int) []byte { return append([]byte{0, 5, 0, 9}, make([]byte, more)...) }

// ext is an IPv6 extension header of 8 bytes and 8 times more.
func ext(next byte, more int, data ...byte) []byte {
	h := make([]byte, 8+8*more)
	h[0], h[1] = next, byte(more)
	copy(h[2:], data)
	return h
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestPackets has the kernel run ingress on packets that are right, and on
// many that are not: what cannot be read has no class, and keeps its mark.
func TestPackets(t *testing.T) {
	e := newEngine(t, 0xb7000000, 1)
	marks := e.publish(t, packetLines, "")
	for _, c := range packetCases() {
		t.Run(c.name, func(t *testing.T) {
			defer onOneCPU(t)()
			for _, theirs := range []uint32{0, 0x48ffffff, 0x42} {
				want := theirs
				if c.line != noLine {
					want |= marks[c.line]
				}
				verdict, mark := e.run(t, "ingress 1", ethernet(c.etherType, c.packet), theirs)
				if verdict != tcxNext || mark != want {
					t.Errorf("with mark %#x: verdict %d, mark %#x; want %d, %#x", theirs, verdict, mark, tcxNext, want)
				}
			}
		})
	}
}

// onOneCPU has this goroutine run where others of its kind do: fragments know
// of each other by CPU.
func onOneCPU(t *testing.T) (end func()) {
	t.Helper()
	var all, one unix.CPUSet
	runtime.LockOSThread()
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if all.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	}
}

// TestMarkedPacketsKeepTheirs has packets that carry a number of ours, in
// use or not: ingress changes none.
func TestMarkedPacketsKeepTheirs(t *testing.T) {
	e := newEngine(t, 0xb7000000, 1)
	e.publish(t, packetLines, "")
	for _, mark := range []uint32{0x01000000, 0xb7000000, 0xb7000042, 0xca6c} {
		if _, after := e.run(t, "ingress 1", ethernet(unix.ETH_P_IP, packet4(unix.IPPROTO_UDP, ports9(4))), mark); after != mark {
			t.Errorf("mark %#x became %#x", mark, after)
		}
	}
}

// TestMalformedPacketsAreCounted has egress run on all of them: each is
// counted once, with its length, under the class of its mark or as
// unclassed, and let out as it is.
func TestMalformedPacketsAreCounted(t *testing.T) {
	e := newEngine(t, 0xb7000000, 0)
	marks := e.publish(t, packetLines, "")
	for _, c := range packetCases() {
		t.Run(c.name, func(t *testing.T) {
			for slot, mark := range map[uint32]uint32{0: 0x42, 1: marks[0], 3: marks[2]} {
				before := must[datapath.Counters](t)(e.Counters(slot, 0))
				frame := ethernet(c.etherType, c.packet)
				verdict, after := e.run(t, bpf.WaymarkProgEgress, frame, mark)
				if verdict != tcxNext || after != mark {
					t.Errorf("with mark %#x: verdict %d, mark %#x; want %d, and no change", mark, verdict, after, tcxNext)
				}
				now := must[datapath.Counters](t)(e.Counters(slot, 0))
				if now.Packets-before.Packets != 1 || now.Bytes-before.Bytes != uint64(len(frame)) || now.Misroutes != before.Misroutes {
					t.Errorf("with mark %#x: counted %+v after %+v; want one packet of %d bytes more", mark, now, before, len(frame))
				}
			}
		})
	}
}
