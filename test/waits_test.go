// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestSentWhileAnotherWaits has a datagram wait for its next hop while its socket
// sends another, as a second thread of its application may at any time: each is of
// its own class, and an answer leaves where it was asked.
func TestSentWhileAnotherWaits(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	one, two, three := v4.service(1).Addr(), v4.service(2), v4.service(3).Addr()
	answers := in("app.slice", unasked(4800, v4))
	answers.To = append(answers.To, two)
	switches := lab.Job{Kind: lab.SendTo, To: []netip.AddrPort{v4.service(3), v4.service(1)}, NoReply: true}
	begins := lab.Job{Kind: lab.SendTo, To: []netip.AddrPort{v4.service(1), v4.service(3)}, NoReply: true}
	for _, c := range []struct {
		name    string
		job     lab.Job
		waits   int
		routers map[netip.Addr]int
		counted ledger
	}{
		{"before its socket has sent to another class", in("app.slice", begins), byB, map[netip.Addr]int{three: byC, one: byB}, ledger{}},
		{"to another class", in("app.slice", switches), byC, map[netip.Addr]int{three: byC, one: byB}, ledger{}},
		{"to one who did not ask", answers, byA, map[netip.Addr]int{one: byA, two.Addr(): byB}, ledger{"group a": misrouted(1, chosen)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := s.open(t, c.job)
			if c.waits == byA {
				s.ask(t, c.job)
			}
			s.account(t, c.counted, func() {
				s.each(t, c.routers, func() {
					answered := s.unanswered(t, c.waits)
					s.check(t, must[lab.Result](t)(client.Send(1, 16)).Err())
					answered()
				})
			})
		})
	}
}

// unanswered has the host ask for its next hop by an uplink, who is silent, until it is told.
func (s *site) unanswered(t *testing.T, router int) (answered func()) {
	t.Helper()
	h, uplink := s.Host.Handle(), s.Uplink(router)
	link := must[netlink.Link](t)(h.LinkByName(uplink.Interface))
	for _, n := range must[[]netlink.Neigh](t)(h.NeighList(link.Attrs().Index, unix.AF_INET)) {
		if n.IP.Equal(uplink.Gateway4.AsSlice()) {
			s.check(t, s.Routers[router].Sysctl("net.ipv4.conf.down.arp_ignore", "8"))
			s.check(t, h.NeighDel(&n))
			return func() {
				s.check(t, s.Routers[router].Sysctl("net.ipv4.conf.down.arp_ignore", "0"))
				s.check(t, h.NeighSet(&n))
			}
		}
	}
	t.Fatalf("the host does not know %s", uplink.Gateway4)
	return nil
}

// TestNetworksOfMainKeepTheirSource has a socket send to a class, and then into a
// network that main knows: from the host's address there, not from an uplink's.
func TestNetworksOfMainKeepTheirSource(t *testing.T) {
	s := newTraffic(t, lab.Options{LAN: true})
	must[*lab.Server](t)(s.LAN.Serve(servicePort))
	s.apply(t, traffic)
	for f, there := range map[ip][2]string{v4: {"192.168.50.100", "192.168.50.1"}, v6: {"2001:db8:50::100", "2001:db8:50::1"}} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			job := f.job(lab.SendTo, 3)
			job.Count, job.To = 1, append(job.To, netip.AddrPortFrom(netip.MustParseAddr(there[0]), servicePort))
			r := must[lab.Result](t)(s.Host.Run(job))
			if !slices.ContainsFunc(r.Replies, func(reply string) bool { return replyTo(reply) == netip.MustParseAddr(there[1]) }) {
				t.Errorf("the replies went to %v, one should to %s: %v", r.Replies, there[1], r.Err())
			}
		})
	}
}
