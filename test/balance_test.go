// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

const balanceFlows = 10000

// balanceTo is one of the destinations of a balance's flows.
func balanceTo(f ip, n int) netip.Addr {
	if f == v4 {
		return netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)})
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:ba1a:%x::1", n))
}

// spreads connects sockets with a mark, each to its destination, and returns
// the uplink that each of them got its address of.
func (s *site) spreads(t *testing.T, to func(n int) netip.Addr, mark uint32) (ways []int, shares map[int]float64) {
	t.Helper()
	uplinks := map[netip.Addr]int{}
	for n := range s.Routers {
		uplinks[s.address(n, to(0))] = n
	}
	shares = map[int]float64{}
	s.check(t, s.Host.Do(func() error {
		for n := range balanceFlows {
			from, err := chosenSource(to(n), mark)
			if err != nil {
				return err
			}
			way, known := uplinks[from]
			if !known {
				return fmt.Errorf("a flow goes from %s", from)
			}
			ways = append(ways, way)
			shares[way] += 1. / balanceFlows
		}
		return nil
	}))
	return ways, shares
}

// chosenSource is the source address that the kernel gives a datagram socket
// with a mark when it is connected.
func chosenSource(to netip.Addr, mark uint32) (netip.Addr, error) {
	fd, err := unix.Socket(familyOf(to), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
		return netip.Addr{}, err
	}
	var address unix.Sockaddr = &unix.SockaddrInet6{Port: 9, Addr: to.As16()}
	if to.Is4() {
		address = &unix.SockaddrInet4{Port: 9, Addr: to.As4()}
	}
	if err := unix.Connect(fd, address); err != nil {
		return netip.Addr{}, err
	}
	local, err := unix.Getsockname(fd)
	switch a := local.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr), err
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr), err
	}
	return netip.Addr{}, err
}

// TestBalance measures the shares of a balance by addresses over ten thousand
// flows, each to a destination of its own; has a flow stay on its uplink; and takes
// a member away, whose share the other gets, and gives it back.
func TestBalance(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "shared.slice")
	s.apply(t, "balance: {by: addresses}\n"+twoUplinks+"classes: [{name: shared, route: {a: 3, b: 1}, match: [{cgroup: shared.slice}]}]\n")
	mark := s.status(t).Classes[0].Mark
	for _, f := range bothFamilies {
		t.Run(string(f), func(t *testing.T) {
			each := func(n int) netip.Addr { return balanceTo(f, n) }
			first, shares := s.spreads(t, each, mark)
			s.near(t, shares, 0.75)
			again, _ := s.spreads(t, each, mark)
			for n := range first {
				if first[n] != again[n] {
					t.Fatalf("the flow to %s went by %d, and goes by %d", balanceTo(f, n), first[n], again[n])
				}
			}
			s.check(t, s.Unplug(byB))
			soon(t, "the host has no carrier", func() error {
				if link := must[netlink.Link](t)(s.Host.Handle().LinkByName("up-b")); link.Attrs().RawFlags&unix.IFF_RUNNING != 0 {
					return errors.New("it has")
				}
				return nil
			})
			if _, shares := s.spreads(t, each, mark); shares[byA] < 0.9999 {
				t.Errorf("with b dead the shares are %v", shares)
			}
			s.check(t, s.Plug(byB))
			_, shares = s.spreads(t, each, mark)
			s.near(t, shares, 0.75)
		})
	}
}

const hashPolicy4, hashPolicy6 = "net.ipv4.fib_multipath_hash_policy", "net.ipv6.fib_multipath_hash_policy"

// TestBalanceByFlow measures the shares of ten thousand flows of the host's own
// to one service, and has all packets of one flow leave by one uplink. What the
// kernel is told for it is taken back, and somebody's choice is left alone.
func TestBalanceByFlow(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "shared.slice")
	const policy = twoUplinks + "classes: [{name: shared, route: {a: 3, b: 1}, match: [{cgroup: shared.slice}]}]\n"
	s.apply(t, policy)
	mark := s.status(t).Classes[0].Mark
	for _, f := range bothFamilies {
		_, shares := s.spreads(t, func(int) netip.Addr { return f.service(1).Addr() }, mark)
		s.near(t, shares, 0.75)
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			for range 4 {
				s.staysOn(t, in("shared.slice", f.job(kind, 1)))
			}
		}
	}
	s.hashed(t, "1", "1")
	s.apply(t, "balance: {by: addresses}\n"+policy)
	s.hashed(t, "0", "0")
	s.apply(t, policy)
	s.hashed(t, "1", "1")
	s.ok(t, "down")
	s.hashed(t, "0", "0")
	s.check(t, s.Host.Sysctl(hashPolicy4, "2"))
	s.apply(t, policy)
	s.hashed(t, "2", "1")
	if text := s.ok(t, append([]string{"plan"}, s.write(t, policy)...)...); !strings.Contains(text, "`sysctl "+hashPolicy4+"=1` spreads them") {
		t.Errorf("the plan does not say how to have the flows spread:\n%s", text)
	}
	s.ok(t, "down")
	s.check(t, s.Host.Sysctl(hashPolicy4, "0"))
}

// hashed checks what chooses among several next hops, for each family.
func (s *site) hashed(t *testing.T, want4, want6 string) {
	t.Helper()
	got4, got6 := must[string](t)(s.Host.ReadSysctl(hashPolicy4)), must[string](t)(s.Host.ReadSysctl(hashPolicy6))
	if got4 != want4 || got6 != want6 {
		t.Errorf("the hash policies are %s and %s, want %s and %s", got4, got6, want4, want6)
	}
}

// staysOn has a socket send many packets, which all leave by one uplink.
func (s *site) staysOn(t *testing.T, job lab.Job) {
	t.Helper()
	job.Count, job.Size = 20, 16
	s.drain(t)
	r := must[lab.Result](t)(s.Host.Run(job))
	s.check(t, r.Err())
	at := s.collect(t, socketOf(job, r))
	if len(at[byA])+len(at[byB]) < 20 && job.Kind != lab.TCP || len(at[byA])*len(at[byB]) != 0 {
		t.Errorf("%s of one socket left %d times by a, and %d times by b", job.Kind, len(at[byA]), len(at[byB]))
	}
}

// TestBalanceOfOneService has a machine behind the host open ten thousand flows
// to one service, which are told apart by their ports.
func TestBalanceOfOneService(t *testing.T) {
	s := newSite(t, lab.Options{LAN: true, Forward: true})
	s.apply(t, twoUplinks+"classes: [{name: shared, route: {a: 3, b: 1}, match: [{iif: br-lan}]}]\n")
	for _, f := range bothFamilies {
		s.drain(t)
		const burst = 500 // as the captures have room for
		shares, to := map[int]float64{}, f.service(1)
		for range balanceFlows / burst {
			s.check(t, s.LAN.Do(func() error { return datagrams(to, burst) }))
			for n, got := range s.collect(t, func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_UDP && p.Dst == to }) {
				shares[n] += float64(len(got)) / balanceFlows
			}
		}
		if all := shares[byA] + shares[byB]; all < 0.9999 {
			t.Errorf("%s: %.4f of the datagrams came", f, all)
		}
		s.near(t, shares, 0.75)
	}
}

// datagrams sends so many, each by a socket of its own.
func datagrams(to netip.AddrPort, n int) error {
	for range n {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		_, err = c.Write([]byte{0})
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	return nil
}

// near checks the share of a, to 2 per cent of the flows.
func (s *site) near(t *testing.T, shares map[int]float64, want float64) {
	t.Helper()
	t.Logf("shares %.4f and %.4f", shares[byA], shares[byB])
	if d := shares[byA] - want; d < -0.02 || d > 0.02 {
		t.Errorf("a has %.4f of the flows, want %.2f", shares[byA], want)
	}
}
