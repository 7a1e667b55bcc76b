// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestSubflows has MPTCP connections whose server names further addresses:
// the kernel joins subflows to them by itself, each in the class of its own
// addresses and its connection's process.
func TestSubflows(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	needKind(t, s.Host, lab.MPTCP)
	for _, n := range []*lab.Node{s.Host, s.Far} {
		must[string](t)(n.Command("ip", "mptcp", "limits", "set", "subflows", "8", "add_addr_accepted", "8").Output())
	}
	for _, f := range bothFamilies {
		for _, i := range []int{2, 3} {
			must[string](t)(s.Far.Command("ip", "mptcp", "endpoint", "add", f.service(i).Addr().String(), "dev", "lo", "signal").Output())
		}
	}
	s.apply(t, traffic+"  - {name: user, route: [c], match: [{uid: 2000}]}\n  - {name: root, route: [a], match: [{uid: 0}]}\n")
	for _, f := range bothFamilies {
		for _, c := range []struct {
			name    string
			cgroup  string
			uid     uint32
			routers [4]int // by service
		}{
			{"unclassed", "", 7, [4]int{1: byA, 2: byA, 3: byC}},
			{"cgroup", "app.slice", 0, [4]int{1: byB, 2: byB, 3: byC}},
			{"cgroup that must not leak", "closed.slice", 0, [4]int{1: byB, 2: byB, 3: byC}},
			{"uid", "", 2000, [4]int{1: byC, 2: byC, 3: byC}},
		} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				to := netip.AddrPortFrom(f.service(1).Addr(), servicePort)
				s.account(t, ledger{}, func() {
					s.drain(t)
					seen := s.multipath(t, c.cgroup, c.uid, to.String())
					for i, router := range c.routers {
						if i == 0 {
							continue
						}
						packets := seen[f.service(i).Addr()]
						if len(packets) == 0 {
							t.Errorf("nothing was sent to service %d", i)
						}
						for _, p := range packets {
							if p.router != router || p.Src.Addr() != s.address(router, p.Dst.Addr()) {
								t.Errorf("router %d got %v; it should pass router %d with that uplink's source", p.router, p, router)
							}
						}
					}
				})
			})
		}
	}
}

// TestSubflowsFromAnAddress has the administrator name an address of another
// uplink for subflows: it is where they leave, counted in their class, and no
// misroute.
func TestSubflowsFromAnAddress(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	needKind(t, s.Host, lab.MPTCP)
	for _, n := range []*lab.Node{s.Host, s.Far} {
		must[string](t)(n.Command("ip", "mptcp", "limits", "set", "subflows", "8", "add_addr_accepted", "8").Output())
	}
	for _, f := range bothFamilies {
		must[string](t)(s.Host.Command("ip", "mptcp", "endpoint", "add", s.address(byC, f.service(1).Addr()).String(), "dev", "up-c", "subflow").Output())
		must[string](t)(s.Host.Command("ip", "mptcp", "endpoint", "add", f.homeless().String(), "subflow").Output())
	}
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		for _, cgroup := range []string{"app.slice", "closed.slice"} {
			t.Run(fmt.Sprintf("%s/%s", cgroup, f), func(t *testing.T) {
				to := f.service(1).Addr()
				s.blameless(t, func() {
					s.drain(t)
					sources := map[netip.Addr]bool{}
					routers := map[netip.Addr]int{s.address(byB, to): byB, s.address(byC, to): byC, f.homeless(): byB}
					for _, p := range s.multipath(t, cgroup, 0, netip.AddrPortFrom(to, servicePort).String())[to] {
						sources[p.Src.Addr()] = true
						if router, ok := routers[p.Src.Addr()]; !ok || p.router != router {
							t.Errorf("router %d got %v; it should pass router %d", p.router, p, router)
						}
					}
					if len(sources) != len(routers) {
						t.Errorf("subflows came from %v, want %d addresses", sources, len(routers))
					}
				})
			})
		}
	}
}

// seenPacket is a packet at a router.
type seenPacket struct {
	lab.Packet
	router int
}

// multipath runs a client of MPTCP on the host, and returns what of TCP the
// routers got, by destination.
func (s *site) multipath(t *testing.T, cgroup string, uid uint32, to string) map[netip.Addr][]seenPacket {
	t.Helper()
	c := s.Host.Command("/proc/self/exe", "be-multipath", to).In(cgroup)
	if uid != 0 {
		c.As(uid, uid)
	}
	must[string](t)(c.Output())
	seen := map[netip.Addr][]seenPacket{}
	for n, packets := range s.collect(t, func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_TCP }) {
		for _, p := range packets {
			seen[p.Dst.Addr()] = append(seen[p.Dst.Addr()], seenPacket{p, n})
		}
	}
	return seen
}

// beMultipath exchanges messages by MPTCP until the kernel has joined what
// there is to join, and some more. Like many an application it sets an option
// before it connects, which the kernel copies to every subflow, and the mark
// with it.
func beMultipath(args []string) error {
	d := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) (err error) {
		outer := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1) })
		if outer != nil {
			return outer
		}
		return err
	}}
	d.SetMultipathTCP(true)
	c, err := d.DialContext(context.Background(), "tcp", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	data := make([]byte, 1<<16)
	for range 30 {
		if _, err := c.Write(make([]byte, 5000)); err != nil {
			return err
		}
		if _, err := c.Read(data); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
