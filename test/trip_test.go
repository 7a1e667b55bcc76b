// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// A trip is what became of one job: what its client says, and what each
// router got from its socket, in order.
type trip struct {
	lab.Result
	at [][]lab.Packet
}

// send runs a job somewhere, and looks at the routers.
func (s *site) send(t *testing.T, from *lab.Node, job lab.Job) trip {
	t.Helper()
	if job.Count == 0 {
		job.Count, job.Size = 1, 16
	}
	s.drain(t)
	r := must[lab.Result](t)(from.Run(job))
	return trip{r, s.collect(t, socketOf(job, r))}
}

// drain forgets what the routers got so far.
func (s *site) drain(t *testing.T) {
	t.Helper()
	s.collect(t, func(lab.Packet) bool { return true })
}

// collect is what each router got since it was asked last, of one kind. An
// answer to a packet is later than the router's sight of it.
func (s *site) collect(t *testing.T, wanted func(lab.Packet) bool) (at [][]lab.Packet) {
	t.Helper()
	for _, c := range s.captures {
		got := must[[]lab.Packet](t)(c.Packets())
		at = append(at, slices.DeleteFunc(got, func(p lab.Packet) bool { return !wanted(p) }))
	}
	return at
}

// socketOf tells the packets of a job's socket from those of others, which
// may still close their connections.
func socketOf(job lab.Job, r lab.Result) func(lab.Packet) bool {
	switch job.Kind {
	case lab.Ping, lab.RawPing:
		return func(p lab.Packet) bool {
			return isEcho(p) && slices.ContainsFunc(job.To, func(to netip.AddrPort) bool { return to.Addr() == p.Dst.Addr() })
		}
	case lab.TCP, lab.MPTCP:
		return func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_TCP && p.Src.Port() == r.Local.Port() }
	}
	return func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_UDP && p.Src.Port() == r.Local.Port() }
}

func isEcho(p lab.Packet) bool {
	return p.Proto == unix.IPPROTO_ICMP && p.ICMPType == 8 || p.Proto == unix.IPPROTO_ICMPV6 && p.ICMPType == 128
}

// leaves checks that a job's socket on the host leaves by one uplink, with
// that uplink's address, from its first packet on.
func (s *site) leaves(t *testing.T, job lab.Job, router int) {
	t.Helper()
	s.send(t, s.Host, job).left(t, router, s.address(router, job.To[0].Addr()))
}

// address is the host's on an uplink, of the family that reaches a destination.
func (s *site) address(router int, to netip.Addr) netip.Addr {
	u := s.Uplink(router)
	if to.Is4() {
		return u.Address4
	}
	return u.Address6
}

// left checks that the socket's packets, the first one above all, passed
// one router and no other, that they have the wanted source there, and that
// the far server saw them come from it.
func (p trip) left(t *testing.T, router int, source netip.Addr) {
	t.Helper()
	if err := p.Err(); err != nil {
		t.Fatalf("%v; at the routers: %v", err, p.at)
	}
	for n, packets := range p.at {
		if n != router && len(packets) > 0 {
			t.Errorf("router %d got %v; all should pass router %d", n, packets, router)
		}
	}
	packets := p.at[router]
	if len(packets) == 0 {
		t.Fatalf("router %d got nothing", router)
	}
	if first := packets[0]; first.Proto == unix.IPPROTO_TCP && first.TCPFlags != 2 {
		t.Errorf("the first packet at router %d is %v, want the SYN", router, first)
	}
	for _, packet := range packets {
		if packet.Src.Addr() != source {
			t.Errorf("router %d got %v, want it from %s", router, packet, source)
		}
	}
	for _, reply := range p.Replies {
		if seen := replyTo(reply); seen != source {
			t.Errorf("the far server answered %s, want %s", seen, source)
		}
	}
}

// replyTo is the address in a reply, with or without its port.
func replyTo(reply string) netip.Addr {
	if a, err := netip.ParseAddrPort(reply); err == nil {
		return a.Addr()
	}
	a, _ := netip.ParseAddr(reply)
	return a
}

// An ip is a family as a socket has it.
type ip string

const (
	v4     ip = "IPv4"
	v6     ip = "IPv6"
	mapped ip = "v4-mapped" // IPv4 by a socket of IPv6
)

var ips = []ip{v4, v6, mapped}

// service is the far server by its address number i, 1 to lab.Services.
func (f ip) service(i int) netip.AddrPort {
	if f == v6 {
		return netip.AddrPortFrom(lab.Service6(i), servicePort)
	}
	return netip.AddrPortFrom(lab.Service4(i), servicePort)
}

// job is one to the far server's address number i.
func (f ip) job(kind lab.Kind, i int) lab.Job {
	to := f.service(i)
	if isPing(kind) {
		to = netip.AddrPortFrom(to.Addr(), 0) // a raw socket would take the port for a protocol
	}
	return lab.Job{Kind: kind, To: []netip.AddrPort{to}, Mapped: f == mapped}
}
