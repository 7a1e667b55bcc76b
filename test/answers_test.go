// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"waymark/internal/lab"
	"waymark/internal/plan"
)

// served has a server behind the host in a class that must not leak, and one in
// none. What goes to some of those who may ask is in a class, too.
const served = threeUplinks + `
classes:
  - {name: peers, route: [c], otherwise: unreachable, match: [{proto: [icmp, icmpv6], dst: [203.0.113.3, "2001:db8:f::3"]}, {proto: tcp, sport: 8080, dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: served, route: [b], otherwise: unreachable, match: [{iif: br-lan, sport: 8}]}
`

// portForwards is what an administrator has for two servers: ports of the
// uplinks' own addresses, that lead to them.
const portForwards = `
nft add table inet theirs
nft 'add chain inet theirs pre { type nat hook prerouting priority dstnat; }'
for l4 in tcp udp; do
	nft add rule inet theirs pre iifname '"up-*"' meta nfproto ipv4 $l4 dport 8080 dnat ip to 192.168.50.100:8
	nft add rule inet theirs pre iifname '"up-*"' meta nfproto ipv6 $l4 dport 8080 dnat ip6 to [2001:db8:50::100]:8
	nft add rule inet theirs pre iifname '"up-*"' meta nfproto ipv4 $l4 dport 9090 dnat ip to 172.30.0.2:9
	nft add rule inet theirs pre iifname '"up-*"' meta nfproto ipv6 $l4 dport 9090 dnat ip6 to [2001:db8:30::2]:9
done
nft 'add chain inet theirs marks { type filter hook prerouting priority -160; }'
nft add rule inet theirs marks ct mark set ct mark or 0x5
nft add rule inet theirs marks meta mark set meta mark or 0x40
nft 'add chain inet theirs post { type filter hook postrouting priority 0; }'
nft add rule inet theirs post oifname '"up-*"' ct direction reply meta mark and 0x48ffffff == 0x40 ct mark and 0x48ffffff == 0x5 counter comment '"kept"'
nft add rule inet theirs post oifname '"up-*"' ct direction reply counter comment '"all"'
`

// newServed has the servers and the ports that lead to them.
func newServed(t *testing.T, options lab.Options) *site {
	t.Helper()
	options.Uplinks, options.LAN, options.Container, options.Forward = 3, true, true, true
	s := newSite(t, options)
	s.shell(t, portForwards)
	s.foreigners = append(s.foreigners, func() error { return s.Host.Command("nft", "delete table inet theirs").Run() })
	must[*lab.Server](t)(s.LAN.Serve(8))
	must[*lab.Server](t)(s.Container.Serve(9))
	return s
}

// TestPortForwards has the far server ask servers behind the host, by ports of
// the host's that somebody else's rules forward: the answer leaves by the
// uplink that the question came in on, whatever the server's class.
func TestPortForwards(t *testing.T) {
	s := newServed(t, lab.Options{RPFilter: 1})
	s.apply(t, served)
	for uplink := range s.Routers {
		t.Run(fmt.Sprintf("by uplink %d", uplink), func(t *testing.T) {
			for _, f := range bothFamilies {
				for _, port := range []uint16{8080, 9090} {
					for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
						t.Run(fmt.Sprintf("%s/port %d/%s", f, port, kind), func(t *testing.T) { s.askServed(t, uplink, f, port, kind) })
					}
				}
			}
			s.answersCount(t, uplink)
		})
	}
	s.marksOfOthers(t)
	s.refusals(t)
}

// refusals has a filter refuse what comes in by such ports: what the kernel
// says of it leaves by the uplink whose address was asked.
func (s *site) refusals(t *testing.T) {
	t.Helper()
	s.shell(t, `
nft 'add chain inet theirs refuse { type filter hook forward priority 0; }'
nft add rule inet theirs refuse udp dport 8 reject
nft add rule inet theirs refuse tcp dport 8 reject with tcp reset
`)
	for uplink := range s.Routers {
		for _, f := range bothFamilies {
			for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
				for name, asker := range map[string]netip.Addr{"anybody": f.service(1).Addr(), "one of a class": f.service(3).Addr()} {
					t.Run(fmt.Sprintf("refused by uplink %d/%s/%s/%s", uplink, f, kind, name), func(t *testing.T) { s.refusedBy(t, uplink, asker, kind) })
				}
			}
		}
	}
	s.shell(t, "nft delete chain inet theirs refuse")
}

func (s *site) refusedBy(t *testing.T, uplink int, asker netip.Addr, kind lab.Kind) {
	t.Helper()
	asked := s.address(uplink, asker)
	s.drain(t)
	r := must[lab.Result](t)(s.Far.Run(from(asker, lab.Job{Kind: kind, To: []netip.AddrPort{netip.AddrPortFrom(asked, 8080)}, Count: 1, Size: 16})))
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "ECONNREFUSED") {
		t.Errorf("the far server was told %v, should be that its question is refused", err)
	}
	for n, packets := range s.collect(t, func(p lab.Packet) bool { return p.Src.Addr() == asked }) {
		if (n == uplink) != (len(packets) > 0) {
			t.Errorf("router %d got %v; what the kernel says should pass router %d", n, packets, uplink)
		}
	}
}

// answersCount checks that its class counts what a server has said by an
// uplink, also where it was asked by another than its own.
func (s *site) answersCount(t *testing.T, uplink int) {
	t.Helper()
	books := s.books(t)
	for _, class := range []string{"served", "unclassed"} {
		c := books[class+" "+s.Uplink(uplink).Name]
		if c.Packets == 0 && !testing.Short() || c.Misroutes != 0 || c.Dropped != 0 || c.Packets > 0 && (class == "served" && uplink != byB) != (c.Causes.Chosen > 0) {
			t.Errorf("%s on %s counts %+v", class, s.Uplink(uplink).Name, c)
		}
	}
}

// TestAnswersAreAsPrinted holds what the plan says against nft's own words, and
// has the rules taken away and changed beside an agent.
func TestAnswersAreAsPrinted(t *testing.T) {
	s := newServed(t, lab.Options{})
	a := s.agent(t, served)
	list := func() string {
		return must[string](t)(s.Host.Command("nft", "list", "table", "inet", "waymark").Output())
	}
	before := list()
	printed := s.ok(t, append([]string{"plan"}, s.write(t, served)...)...)
	rules := 0
	for line := range strings.Lines(printed) {
		if _, rule, ours := strings.Cut(line, "nft 'add rule inet waymark "); ours {
			_, rule, _ = strings.Cut(strings.TrimSuffix(rule, "'\n"), " ")
			if rules++; !strings.Contains(before, rule+"\n") {
				t.Errorf("nft does not list %q:\n%s", rule, before)
			}
		}
	}
	if rules != 3*2*2 {
		t.Errorf("the plan has %d rules of nftables, want a pair for each uplink and family:\n%s", rules, printed)
	}
	if again := s.apply(t, served); again.Changed {
		t.Errorf("applied again: %+v", again.Changes)
	}
	for n, damage := range []string{"nft delete chain inet waymark prerouting", "nft flush chain inet waymark forward",
		"nft insert rule inet waymark prerouting accept", "nft add chain inet waymark other"} {
		s.shell(t, damage)
		soon(t, "the table is put back after "+damage, func() error {
			if now := list(); now != before || strings.Count(a.logged(), "kind=nat") <= n {
				return errors.New(now)
			}
			return nil
		})
	}
}

func (s *site) askServed(t *testing.T, uplink int, f ip, port uint16, kind lab.Kind) {
	t.Helper()
	to := netip.AddrPortFrom(s.address(uplink, f.service(1).Addr()), port)
	s.answers(t, s.Far, lab.Job{Kind: kind, To: []netip.AddrPort{to}}, uplink)
}

// marksOfOthers checks that all that left had the bits of others that it came with.
func (s *site) marksOfOthers(t *testing.T) {
	t.Helper()
	listed := must[string](t)(s.Host.Command("nft", "list", "chain", "inet", "theirs", "post").Output())
	var kept, all string
	for line := range strings.Lines(listed) {
		if _, counted, found := strings.Cut(line, "counter packets "); found && strings.Contains(line, "kept") {
			kept, _, _ = strings.Cut(counted, " ")
		} else if found {
			all, _, _ = strings.Cut(counted, " ")
		}
	}
	if kept != all || all == "" || all == "0" {
		t.Errorf("%s of %s packets left with the bits that others had set:\n%s", kept, all, listed)
	}
}

// TestForwardedIn has the far server ask one behind the host by its own
// address: answers leave by the uplink that the far side last came by, or by
// none, unless the policy leaves them to their class and main.
func TestForwardedIn(t *testing.T) {
	s := newServed(t, lab.Options{})
	s.apply(t, served)
	for _, f := range bothFamilies {
		t.Run(string(f), func(t *testing.T) {
			job := lab.Job{Kind: lab.UDP, To: []netip.AddrPort{netip.AddrPortFrom(f.inside(s.Container), 9)}}
			s.reachBy(t, byC, job.To[0].Addr())
			c := must[*lab.Client](t)(s.Far.Open(job))
			t.Cleanup(func() { c.Close() })
			s.answeredBy(t, c, byC)
			s.reachBy(t, byB, job.To[0].Addr())
			s.answeredBy(t, c, byB)
			s.apply(t, strings.ReplaceAll(served, "  - {name: a", "  - {name: d, interface: up-d}\n  - {name: a"))
			s.answeredBy(t, c, byB)
			s.apply(t, strings.ReplaceAll(served, "}\n  - {name: c", ", symmetric: false}\n  - {name: c"))
			s.answeredBy(t, c, byA)
			s.apply(t, served)
			s.answeredBy(t, c, byB)
		})
	}
	t.Run("an uplink that is down is in nobody's place", func(t *testing.T) {
		mark := s.answerMark(t, "up-b")
		unplug(t, s, byB)
		for _, way := range []string{"203.0.113.1 from 172.30.0.2", "2001:db8:f::1 from 2001:db8:30::2"} {
			// The kernel tells itself of a carrier a moment later.
			soon(t, "no way for an answer to "+way, func() error {
				out, err := s.Host.Command("sh", "-c", fmt.Sprintf("ip route get %s iif ctr0 mark %#x 2>&1", way, mark)).Output()
				if err == nil || !strings.Contains(out, "unreachable") {
					return fmt.Errorf("it is %s", out)
				}
				return nil
			})
		}
	})
}

// reachBy has the far server reach an address behind the host by one router.
func (s *site) reachBy(t *testing.T, router int, a netip.Addr) {
	t.Helper()
	via := map[bool]string{true: "10.1.%d.1", false: "2001:db8:1:%d::1"}[a.Is4()]
	to := netlink.Route{Dst: ipNet(netip.PrefixFrom(a, a.BitLen())), Gw: netip.MustParseAddr(fmt.Sprintf(via, router+1)).AsSlice()}
	if err := s.Far.Handle().RouteReplace(&to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Far.Handle().RouteDel(&to) })
}

// answeredBy checks that a client that is open is answered, by one router.
func (s *site) answeredBy(t *testing.T, c *lab.Client, router int) {
	t.Helper()
	s.drain(t)
	r := must[lab.Result](t)(c.Send(1, 16))
	if err := r.Err(); err != nil {
		t.Errorf("%v", err)
	}
	for n, packets := range s.collect(t, func(p lab.Packet) bool { return p.Dst.Port() == r.Local.Port() }) {
		if (n == router) != (len(packets) > 0) {
			t.Errorf("router %d got %v; all answers should pass router %d", n, packets, router)
		}
	}
}

// answerMark is what the plan gives the answers of an uplink.
func (s *site) answerMark(t *testing.T, iface string) uint32 {
	t.Helper()
	p := item[struct{ Plan plan.Plan }](t, s.ok(t, append([]string{"plan", "-o", "json"}, s.write(t, served)...)...))
	for _, a := range p.Plan.Answers {
		if a.Interface == iface {
			return a.Mark
		}
	}
	t.Fatalf("the plan has no answers of %s", iface)
	return 0
}
