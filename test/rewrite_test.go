// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestRewrittenSource has unbound datagram sockets that were open before the
// apply, and such as no hook sees the destinations of: each message, whole or
// in fragments, gets the source of its class's uplink, with checksums that
// the far server accepts.
func TestRewrittenSource(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	type opened struct {
		job    lab.Job
		client *lab.Client
		router int
	}
	var clients []opened
	for _, f := range ips {
		clients = append(clients, opened{in("app.slice", f.job(lab.SendTo, 1)), nil, byB})
		if f != mapped {
			clients = append(clients, opened{f.job(lab.Ping, 3), nil, byC}, opened{f.job(lab.RawPing, 3), nil, byC})
		}
	}
	for i, c := range clients {
		clients[i].client = s.open(t, c.job)
	}
	s.apply(t, traffic)
	for _, c := range clients {
		for _, size := range []int{16, 1400, 1473, 4000, 9000} {
			t.Run(fmt.Sprintf("%s to %s/%d bytes", c.job.Kind, c.job.To[0].Addr(), size), func(t *testing.T) {
				s.drain(t)
				r := must[lab.Result](t)(c.client.Send(1, size))
				to := c.job.To[0].Addr()
				at := s.collect(t, func(p lab.Packet) bool { return p.Dst.Addr() == to })
				trip{r, at}.stays(t, c.router, s.address(c.router, to))
			})
		}
	}
}

// TestRewrittenLite is the same for UDP-Lite, whose checksum is never left out.
func TestRewrittenLite(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	for _, f := range bothFamilies {
		fd := s.listenFar(t, f, unix.IPPROTO_UDPLITE)
		proceed := s.begin(t, "app.slice", "be-a-slow-one", "lite", "-", f.service(1).Addr().String())
		s.apply(t, traffic)
		to := f.service(1).Addr()
		s.arrives(t, to, byB, s.address(byB, to), proceed)
		if source, err := receive(fd); err != nil || source != s.address(byB, to) {
			t.Errorf("%s: the far server got a datagram of %s: %v", f, source, err)
		}
		s.ok(t, "down")
	}
}

// listenFar binds a datagram socket of a protocol on the far server, as long as the test.
func (s *site) listenFar(t *testing.T, f ip, proto int) (fd int) {
	t.Helper()
	any := map[ip]netip.Addr{v4: netip.IPv4Unspecified(), v6: netip.IPv6Unspecified()}[f]
	err := s.Far.Do(func() (err error) {
		fd, err = unix.Socket(familyOf(any), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, proto)
		return err
	})
	if err != nil {
		t.Skipf("the kernel has no protocol %d: %v", proto, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	wait := unix.Timeval{Sec: 5}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		t.Fatal(err)
	}
	if f == v6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Bind(fd, sockaddr(any, servicePort)); err != nil {
		t.Fatal(err)
	}
	return fd
}

// receive is who sent the next datagram.
func receive(fd int) (netip.Addr, error) {
	_, from, err := unix.Recvfrom(fd, make([]byte, 2048), 0)
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr), err
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr), err
	}
	return netip.Addr{}, err
}

// TestSegmentsAreRepaired has packets of many segments leave by the wrong
// uplink: they are sent to the right one whole, every segment arrives, and
// counts. A stream is there because somebody else gave its packets a class's
// mark when their route was chosen already.
func TestSegmentsAreRepaired(t *testing.T) {
	s := newTraffic(t, lab.Options{Offload: true})
	for _, r := range s.Routers {
		must[string](t)(r.Command("ip", "link", "set", "dev", "up", "gso_max_segs", "1").Output())
	}
	bound, unbound := map[ip]func(){}, map[ip]func(){}
	for _, f := range bothFamilies {
		to := f.service(1).Addr().String()
		bound[f] = s.begin(t, "app.slice", "be-a-slow-one", "gso", f.homeless().String(), to)
		unbound[f] = s.begin(t, "app.slice", "be-a-slow-one", "gso", "-", to)
	}
	s.apply(t, traffic)
	arrived := s.arrived(t)
	for _, f := range bothFamilies {
		to := f.service(1).Addr()
		t.Run("datagrams/"+string(f), func(t *testing.T) {
			s.account(t, ledger{"group a": repaired(misrouted(20, before))}, func() {
				s.arrivesWhole(t, to, f.homeless(), 20, bound[f])
			})
		})
		t.Run("datagrams from no address/"+string(f), func(t *testing.T) {
			s.account(t, ledger{}, func() { s.arrivesWhole(t, to, s.address(byB, to), 20, unbound[f]) })
		})
		t.Run("stream/"+string(f), func(t *testing.T) { s.markLate(t, f) })
	}
	s.quiet(t)
	if diff := s.uncounted(t, arrived); diff != "" {
		t.Errorf("the sums of all classes are not what the far server received (-far +status):\n%s", diff)
	}
}

// arrivesWhole checks that so many segments pass the second router to their
// end, and none another router.
func (s *site) arrivesWhole(t *testing.T, to, source netip.Addr, segments int, do func()) {
	t.Helper()
	far := must[*lab.Capture](t)(s.Far.Capture("to-b"))
	defer far.Close()
	s.drain(t)
	do()
	ours := func(p lab.Packet) bool { return p.Dst.Addr() == to && p.Proto == unix.IPPROTO_UDP }
	if packets, err := far.Wait(segments, 5*time.Second, ours); err != nil {
		t.Errorf("%v: %v", err, packets)
	}
	s.drainOf(t, byB, ours, source)
}

// markLate has packets of a stream from no uplink's address be given a
// class's mark after their route was chosen.
func (s *site) markLate(t *testing.T, f ip) {
	t.Helper()
	var mark uint32
	for _, c := range s.status(t).Classes {
		if c.Name == "group" {
			mark = c.Mark
		}
	}
	source := map[ip]string{v4: "ip saddr ", v6: "ip6 saddr "}[f] + f.homeless().String()
	s.shell(t, fmt.Sprintf(`nft add table inet late
nft add chain inet late out '{ type filter hook output priority 0; }'
nft add rule inet late out %s tcp dport %d meta mark set %#x`, source, servicePort, mark))
	defer s.shell(t, "nft delete table inet late")
	job := from(f.homeless(), f.job(lab.TCP, 1))
	job.Count, job.Size = 1, 1<<20
	since := s.books(t)
	trip := s.send(t, s.Host, job)
	trip.left(t, byB, f.homeless())
	c := s.booked(t, since)["group a"]
	if c.Repaired < 1<<20/1448 || c.Repaired != c.Causes.Foreign || c.Misroutes != c.Repaired {
		t.Errorf("group on a counts %+v, want every segment repaired by the foreign mark", c)
	}
	if !slices.ContainsFunc(trip.at[byB], func(p lab.Packet) bool { return p.Len > 1500 }) {
		t.Error("no packet of several segments came by: nothing was tested")
	}
}

// uncounted is how what the far server received differs from what status says.
func (s *site) uncounted(t *testing.T, before map[string]count) string {
	t.Helper()
	arrived := since(before, s.arrived(t))
	maps.DeleteFunc(arrived, func(_ string, c count) bool { return c == count{} })
	return cmp.Diff(arrived, s.counted(t).byUplink())
}

// TestTooLargeStays has a ping of a class by destination be larger than its uplink
// takes: nobody would tell who sent it, so it stays, and counts as late.
func TestTooLargeStays(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.shell(t, "ip link set up-c mtu 1400")
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		t.Run(string(f), func(t *testing.T) {
			needRepair(t)
			job := f.job(lab.RawPing, 3)
			for size, want := range map[int]struct {
				router  int
				counted ledger
			}{
				1300: {byC, ledger{"tuple a": repaired(misrouted(1, late))}},
				1420: {byA, ledger{"tuple a": misrouted(1, late)}},
			} {
				job.Count, job.Size = 1, size
				s.account(t, want.counted, func() { s.leaves(t, job, want.router) })
			}
		})
	}
}
