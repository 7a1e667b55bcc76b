// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"waymark/internal/lab"
)

// TestVXLAN has the kernel itself send what classed sockets send into a
// tunnel. The outer packet still has the inner one's socket and mark, but it
// is not theirs: it is unclassed, or in the class of its own addresses.
func TestVXLAN(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	for i, f := range bothFamilies {
		s.addVXLAN(t, fmt.Sprintf("plain%d", i), 10+i, f.service(1).Addr(), netip.Addr{})
		s.addVXLAN(t, fmt.Sprintf("tuple%d", i), 20+i, f.service(3).Addr(), f.homeless())
		s.addVXLAN(t, fmt.Sprintf("pinned%d", i), 30+i, f.service(3).Addr(), s.address(byA, f.service(1).Addr()))
	}
	s.apply(t, traffic)
	for i, f := range bothFamilies {
		follows := s.follows(t, f, intoVXLAN(10+i))
		for _, c := range []struct {
			name    string
			subnet  int
			service int
			router  int
			source  netip.Addr
			counted ledger
		}{
			{"plain", 10 + i, 1, byA, s.address(byA, f.service(1).Addr()), ledger{}},
			{"tuple", 20 + i, 3, byC, f.homeless(), ledger{"tuple a": repaired(misrouted(1, late))}},
			{"pinned", 30 + i, 3, byA, s.address(byA, f.service(1).Addr()), ledger{"tuple a": misrouted(1, pinned)}},
		} {
			for _, cgroup := range []string{"", "app.slice", "closed.slice"} {
				if follows && cgroup != "" {
					continue // the kernel has steered it already
				}
				for _, kind := range []lab.Kind{lab.UDP, lab.SendTo} {
					t.Run(fmt.Sprintf("%s/%s in %q/%s", c.name, kind, cgroup, f), func(t *testing.T) {
						job := in(cgroup, intoVXLAN(c.subnet))
						job.Kind = kind
						s.account(t, c.counted, func() {
							s.arrives(t, f.service(c.service).Addr(), c.router, c.source, func() { s.sendOnly(t, job) })
						})
					})
				}
			}
		}
	}
}

// intoVXLAN is a datagram into the tunnel number n.
func intoVXLAN(n int) lab.Job {
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(n), 2}), servicePort)
	return lab.Job{Kind: lab.UDP, To: []netip.AddrPort{to}, NoReply: true, Count: 1, Size: 16}
}

// follows tells whether this kernel routes a tunnel's packets with the mark of
// what they carry (6.18 does, of VXLAN, for IPv6). They leave by the class's
// uplink then, and are none on the wrong way.
func (s *site) follows(t *testing.T, f ip, job lab.Job) bool {
	t.Helper()
	s.drain(t)
	s.account(t, ledger{}, func() { s.sendOnly(t, in("app.slice", job)) })
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for n, packets := range s.collect(t, func(p lab.Packet) bool { return p.Dst.Addr() == f.service(1).Addr() }) {
			if len(packets) > 0 {
				return n == byB
			}
		}
	}
	t.Fatal("no router got what the tunnel sent")
	return false
}

// sendOnly sends a job's messages from the host, whatever becomes of them.
func (s *site) sendOnly(t *testing.T, job lab.Job) {
	t.Helper()
	if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
		t.Error(r.Err())
	}
}

// addVXLAN adds a tunnel of the kernel's to a remote end, with 10.77.n.2
// behind it.
func (s *site) addVXLAN(t *testing.T, name string, n int, remote, local netip.Addr) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	tunnel := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: n, Group: remote.AsSlice(), SrcAddr: local.AsSlice(), Port: 4789, Learning: false, UDPCSum: true, UDP6ZeroCSumTx: true, UDP6ZeroCSumRx: true}
	if err := s.Host.Handle().LinkAdd(tunnel); err != nil {
		t.Skipf("the kernel has no tunnel that we know: %v", err)
	}
	s.shell(t, strings.NewReplacer("NAME", name, "SUBNET", fmt.Sprintf("10.77.%d", n)).Replace(`
echo 1 > /proc/sys/net/ipv6/conf/NAME/disable_ipv6
ip address add SUBNET.1/24 dev NAME
ip link set NAME up
ip neighbour add SUBNET.2 lladdr 02:00:00:00:00:02 dev NAME nud permanent
ip link set NAME arp off`))
}
