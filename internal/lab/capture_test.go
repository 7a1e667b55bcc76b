// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func TestCountsAreExact(t *testing.T) {
	const n, size = 1000, 100
	const frame4, frame6 = 14 + 20 + 8 + size, 14 + 40 + 8 + size
	l := newLab(t, Options{})
	router := l.Routers[0]
	wire := must[*Capture](t)(router.Capture("down"))
	quiet := must[*Capture](t)(l.Routers[1].Capture("down"))
	before := must[Stats](t)(router.Stats("down"))
	far := must[Stats](t)(l.Far.Stats("to-a"))
	host := must[Stats](t)(l.Host.Stats("up-a"))
	// Nobody listens, and unconnected sockets do not hear of it; the far
	// kernel's few ICMP errors are the only packets that come back.
	for _, to := range [][]netip.AddrPort{to4(1, 9), to6(1, 9)} {
		r := must[Result](t)(l.Host.Run(Job{Kind: SendTo, To: to, Count: n, Size: size, NoReply: true}))
		check(t, r.Err())
	}
	packets := must[[]Packet](t)(wire.Wait(2*n, settleTime, nil))
	want := Stats{RxPackets: 2 * n, RxBytes: n * (frame4 + frame6)}
	got := must[Stats](t)(router.Stats("down")).Sub(before)
	got.TxPackets, got.TxBytes = 0, 0
	if diff := cmp.Diff(want, got); diff != "" || len(packets) != 2*n {
		t.Errorf("router counted, captured %d (-want +got):\n%s", len(packets), diff)
	}
	want = Stats{TxPackets: want.RxPackets, TxBytes: want.RxBytes}
	got = must[Stats](t)(l.Host.Stats("up-a")).Sub(host)
	got.RxPackets, got.RxBytes = 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("host counted (-want +got):\n%s", diff)
	}
	if got := must[Stats](t)(l.Far.Stats("to-a")).Sub(far); got.RxPackets != 2*n {
		t.Errorf("far received %d packets, want %d", got.RxPackets, 2*n)
	}
	if packets := must[[]Packet](t)(quiet.Packets()); len(packets) != 0 {
		t.Errorf("the other uplink carried %v", packets)
	}
}

func TestCaptureSeesTheConnection(t *testing.T) {
	l := newLab(t, Options{})
	must[*Server](t)(l.Far.Serve(7))
	wire := must[*Capture](t)(l.Routers[0].Capture("down"))
	start := time.Now()
	r := must[Result](t)(l.Host.Run(Job{Kind: TCP, To: to6(2, 7)}))
	check(t, r.Err())
	packets := must[[]Packet](t)(wire.Wait(1, settleTime, func(p Packet) bool { return p.TCPFlags&1 != 0 }))
	syn := packets[0]
	if syn.Time.Before(start.Add(-time.Second)) {
		t.Errorf("captured at %s, before the test began at %s", syn.Time, start)
	}
	syn.Time, syn.Len = time.Time{}, 0
	want := Packet{
		EtherType: unix.ETH_P_IPV6, Proto: unix.IPPROTO_TCP, TTL: 64, TCPFlags: 2,
		Src: netip.AddrPortFrom(l.Uplink(0).Address6, r.Local.Port()), Dst: to6(2, 7)[0],
	}
	if diff := cmp.Diff(want, syn, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("first packet (-want +got):\n%s", diff)
	}
	for _, p := range packets {
		if p.Src != want.Src || p.Dst != want.Dst {
			t.Errorf("captured a packet of something else: %s", p)
		}
	}
}

func TestCaptureSeesFragments(t *testing.T) {
	l := newLab(t, Options{})
	wire := must[*Capture](t)(l.Routers[0].Capture("down"))
	for _, to := range [][]netip.AddrPort{to4(1, 9), to6(1, 9)} {
		r := must[Result](t)(l.Host.Run(Job{Kind: SendTo, To: to, Count: 1, Size: 4000, NoReply: true}))
		check(t, r.Err())
		packets := must[[]Packet](t)(wire.Wait(3, settleTime, nil))
		ports, bytes := 0, 0
		for _, p := range packets {
			if !p.Fragment || p.Proto != unix.IPPROTO_UDP || p.Len > 1500 {
				t.Errorf("not a fragment of a datagram: %s", p)
			}
			if p.Dst.Port() == 9 {
				ports++
			}
			bytes += p.Len
		}
		if len(packets) != 3 || ports != 1 || bytes <= 4000 {
			t.Errorf("%d fragments, %d with ports, %d bytes; want 3, 1, more than 4000", len(packets), ports, bytes)
		}
	}
}

func TestCaptureReportsDrops(t *testing.T) {
	l := newLab(t, Options{})
	wire := must[*Capture](t)(l.Routers[0].Capture("down"))
	check(t, unix.SetsockoptInt(wire.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4096))
	r := must[Result](t)(l.Host.Run(Job{Kind: SendTo, To: to4(1, 9), Count: 100, NoReply: true}))
	check(t, r.Err())
	if packets, err := wire.Wait(100, settleTime, nil); err == nil {
		t.Errorf("a capture without room gave %d packets and no error", len(packets))
	}
}

func TestOffload(t *testing.T) {
	for name, offload := range map[string]bool{"off": false, "on": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, Options{Offload: offload})
			must[*Server](t)(l.Far.Serve(7))
			wire := must[*Capture](t)(l.Routers[0].Capture("down"))
			r := must[Result](t)(l.Host.Run(Job{Kind: TCP, To: to4(1, 7), Count: 1, Size: 1 << 20}))
			check(t, r.Err())
			largest := 0
			for _, p := range must[[]Packet](t)(wire.Wait(1, settleTime, func(p Packet) bool { return p.TCPFlags&1 != 0 })) {
				largest = max(largest, p.Len)
			}
			if (largest > 1500) != offload {
				t.Errorf("largest packet has %d bytes", largest)
			}
		})
	}
}
