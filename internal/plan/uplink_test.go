// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const uplinkPolicy = "uplinks: [{name: a, interface: eth0}, {name: b, interface: eth1, gateway: %s}]"

// TestNextHop asks what uplink b on eth1 is found to be.
func TestNextHop(t *testing.T) {
	const none = "via {}, from {}"
	eth1 := func(addresses ...string) func(*host) { return func(h *host) { h.link("eth1", addresses...) } }
	with := func(first func(*host), more ...func(*host)) func(*host) {
		return func(h *host) {
			first(h)
			for _, f := range more {
				f(h)
			}
		}
	}
	route := func(gateway string, metric, table uint32, protocol uint8) func(*host) {
		return func(h *host) {
			r := h.route("eth1", gateway, metric)
			r.Table, r.Protocol = table, protocol
		}
	}
	pointToPoint := func(h *host) { h.change("eth1", func(l *Link) { l.PointToPoint = true }) }
	memory := Numbers{Gateways: map[string]map[Family]netip.Addr{"eth1": {IPv4: addr("10.0.2.254")}}}
	for _, c := range []struct {
		name, gateway string
		host          func(*host)
		before        Numbers
		want          string
	}{
		{"no route", "auto", eth1("10.0.2.2/24"), Numbers{}, "via {}, from {4: 10.0.2.2/24}"},
		{"main's route", "auto", with(eth1("10.0.2.2/24"), route("10.0.2.1", 100, TableMain, 4)), Numbers{}, "via {4: 10.0.2.1}, from {4: 10.0.2.2/24}"},
		{"main's best", "auto", with(eth1("10.0.2.2/24"), route("10.0.2.9", 200, TableMain, 4), route("10.0.2.1", 100, TableMain, 4), route("10.0.2.8", 300, TableMain, 4)), Numbers{}, "via {4: 10.0.2.1}, from {4: 10.0.2.2/24}"},
		{"the first of two that are equal", "auto", with(eth1("10.0.2.2/24"), route("10.0.2.1", 100, TableMain, 4), route("10.0.2.9", 100, TableMain, 4)), Numbers{}, "via {4: 10.0.2.1}, from {4: 10.0.2.2/24}"},
		{"the address that main's route prefers", "auto", with(eth1("10.0.2.2/24", "10.0.2.3/24"), func(h *host) { h.route("eth1", "10.0.2.1", 0).Source = addr("10.0.2.3") }), Numbers{}, "via {4: 10.0.2.1}, from {4: 10.0.2.3/24}"},
		{"main's before any other table's", "auto", with(eth1("10.0.2.2/24"), route("10.0.2.9", 0, 300, 4), route("10.0.2.1", 100, TableMain, 4)), Numbers{}, "via {4: 10.0.2.1}, from {4: 10.0.2.2/24}"},
		{"another table's", "auto", with(eth1("10.0.2.2/24"), route("10.0.2.9", 0, 300, 4)), Numbers{}, "via {4: 10.0.2.9}, from {4: 10.0.2.2/24}"},
		{"our own is nobody's word", "auto", with(eth1("10.0.2.2/24"), route("10.0.2.9", 0, 7001, Protocol)), Numbers{}, "via {}, from {4: 10.0.2.2/24}"},
		{"main's before the one remembered", "auto", with(eth1("10.0.2.2/24"), route("10.0.2.1", 0, TableMain, 4)), memory, "via {4: 10.0.2.1}, from {4: 10.0.2.2/24}"},
		{"the one remembered", "auto", eth1("10.0.2.2/24", "2001:db8:2::2/64"), memory, "via {4: 10.0.2.254}, from {4: 10.0.2.2/24, 6: 2001:db8:2::2/64}"},
		{"as written", "10.0.2.7", with(eth1("10.0.2.2/24", "2001:db8:2::2/64"), route("10.0.2.1", 0, TableMain, 4), route("fe80::1", 0, TableMain, 4)), memory, "via {4: 10.0.2.7}, from {4: 10.0.2.2/24, 6: 2001:db8:2::2/64}"},
		{"as written, without an address", "10.0.2.7", eth1(), Numbers{}, "via {4: no address for 10.0.2.7}, from {}"},
		{"as written, with one of the other family", "10.0.2.7", eth1("2001:db8:2::2/64"), Numbers{}, "via {4: no address for 10.0.2.7}, from {6: 2001:db8:2::2/64}"},
		{"as written, with a borrowed address", "10.0.2.7", with(eth1(), route("10.0.2.7", 0, 300, 4), func(h *host) { h.Own = append(h.Own, addr("192.0.2.9")) }), Numbers{}, "via {4: 10.0.2.7}, from {}"},
		{"a default route that stays without an address, and another uplink's", "auto", with(eth1("10.0.2.2/24"), route("2001:db8:2::1", 0, TableMain, 4), func(h *host) {
			h.link("eth0", "2001:db8:1::2/64")
			h.Own = append(h.Own, addr("2001:db8:1::2"), addr("fe80::2"))
		}), Numbers{}, "via {6: no address for 2001:db8:2::1}, from {4: 10.0.2.2/24}"},
		{"a default route that prefers another uplink's address", "auto", with(eth1("10.0.2.2/24"), func(h *host) {
			h.link("eth0", "2001:db8:1::2/64")
			h.Own = append(h.Own, addr("2001:db8:1::2"), addr("2001:db8:77::1"))
			h.route("eth1", "2001:db8:2::1", 0).Source = addr("2001:db8:1::2")
		}), Numbers{}, "via {6: no address for 2001:db8:2::1}, from {4: 10.0.2.2/24}"},
		{"the one remembered, without an address", "auto", eth1(), memory, "via {4: no address for 10.0.2.254}, from {}"},
		{"as written, with an address of a delegated prefix", "fe80::1", with(eth1(), func(h *host) { h.Own = append(h.Own, addr("2001:db8:77::1")) }), Numbers{}, "via {6: fe80::1}, from {}"},
		{"as written, with another uplink's address", "fe80::1", with(eth1(), func(h *host) {
			h.link("eth0", "2001:db8:1::2/64")
			h.Own = append(h.Own, addr("2001:db8:1::2"), addr("fd00::1"))
		}), Numbers{}, "via {6: no address for fe80::1}, from {}"},
		{"a default route without a next hop", "auto", with(eth1("10.0.2.2/24"), route("", 0, TableMain, 4)), Numbers{}, "via {}, from {4: 10.0.2.2/24}"},
		{"the address beside the next hop", "10.0.3.1", eth1("10.0.2.2/24", "10.0.3.2/24"), Numbers{}, "via {4: 10.0.3.1}, from {4: 10.0.3.2/24}"},
		{"the interface is absent", "10.0.2.7", func(*host) {}, memory, none},
		{"point to point", "auto", with(eth1("10.0.2.2/32"), pointToPoint), Numbers{}, "via {4: link}, from {4: 10.0.2.2/32}"},
		{"point to point, and a default route of the other family", "auto", with(eth1("10.0.2.2/32"), pointToPoint, func(h *host) {
			r := h.route("eth1", "", 0)
			r.Family, r.Dst = IPv6, IPv6.Default()
		}), Numbers{}, "via {4: link, 6: link}, from {4: 10.0.2.2/32}"},
		{"point to point, without addresses", "none", eth1(), Numbers{}, "via {4: link, 6: link}, from {}"},
		{"point to point, by the policy", "none", with(eth1("2001:db8:2::2/64"), route("10.0.2.1", 0, 300, 4)), Numbers{}, "via {4: link, 6: link}, from {6: 2001:db8:2::2/64}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost()
			h.link("eth0", "10.0.1.2/24")
			c.host(h)
			p := h.make(t, fmt.Sprintf(uplinkPolicy, c.gateway), c.before)
			if diff := cmp.Diff(c.want, found(p.UplinkNamed("b"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// found is an uplink's next hops and sources, as text.
func found(u *Uplink) string {
	var via, from []string
	for _, f := range Families {
		switch {
		case u.Gateways[f].IsValid() && !u.Families[f]:
			via = append(via, fmt.Sprintf("%d: no address for %s", f, u.Gateways[f]))
		case u.Gateways[f].IsValid():
			via = append(via, fmt.Sprintf("%d: %s", f, u.Gateways[f]))
		case u.Families[f]:
			via = append(via, fmt.Sprintf("%d: link", f))
		}
		if s, ok := u.Sources[f]; ok {
			from = append(from, fmt.Sprintf("%d: %s", f, s))
		}
	}
	return fmt.Sprintf("via {%s}, from {%s}", strings.Join(via, ", "), strings.Join(from, ", "))
}

// TestGatewayIsRemembered follows a link that loses its routes, goes away and
// comes back without them.
func TestGatewayIsRemembered(t *testing.T) {
	h := twoUplinks()
	text := fmt.Sprintf(uplinkPolicy, "auto")
	p := h.make(t, text, Numbers{})
	h.Routes = nil
	back := h.Links["eth1"]
	delete(h.Links, "eth1")
	p = h.make(t, text, p.Numbers)
	if got := found(p.UplinkNamed("b")); got != "via {}, from {}" {
		t.Errorf("without its interface it is %s", got)
	}
	h.Links["eth1"] = back
	p = h.make(t, text, p.Numbers)
	want := "via {4: 10.0.2.1, 6: 2001:db8:2::1}, from {4: 10.0.2.2/24, 6: 2001:db8:2::2/64}"
	if diff := cmp.Diff(want, found(p.UplinkNamed("b"))); diff != "" {
		t.Errorf("when it is back (-want +got):\n%s", diff)
	}
	// On another interface the next hop is another.
	h.link("eth5", "10.0.5.2/24")
	p = h.make(t, strings.Replace(text, "eth1", "eth5", 1), p.Numbers)
	if got := found(p.UplinkNamed("b")); got != "via {}, from {4: 10.0.5.2/24}" {
		t.Errorf("on another interface it is %s", got)
	}
}

func TestMainUplink(t *testing.T) {
	for _, c := range []struct {
		name   string
		routes func(*host)
		want   int
	}{
		{"no default route", func(h *host) {}, -1},
		{"one", func(h *host) { h.route("eth1", "10.0.2.1", 100) }, 1},
		{"the best of two", func(h *host) { h.route("eth1", "10.0.2.1", 100); h.route("eth0", "10.0.1.1", 50) }, 0},
		{"the first of two that are equal", func(h *host) { h.route("eth1", "10.0.2.1", 100); h.route("eth0", "10.0.1.1", 100) }, 1},
		{"the best is no uplink's", func(h *host) { h.route("eth1", "10.0.2.1", 100); h.route("vpn0", "10.9.9.1", 50) }, -1},
		{"the best is an uplink's", func(h *host) { h.route("vpn0", "10.9.9.1", 200); h.route("eth1", "10.0.2.1", 100) }, 1},
		{"another table's", func(h *host) { h.route("eth1", "10.0.2.1", 100).Table = 300 }, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost()
			h.link("eth0", "10.0.1.2/24")
			h.link("eth1", "10.0.2.2/24")
			c.routes(h)
			if p := h.make(t, fmt.Sprintf(uplinkPolicy, "auto"), Numbers{}); p.Main != c.want {
				t.Errorf("uplink number %d, want %d", p.Main, c.want)
			}
		})
	}
}

// TestTableHoldsTheLinkOnly has static routes, which are main's alone: the
// rules ask main for all but its default.
func TestTableHoldsTheLinkOnly(t *testing.T) {
	h := twoUplinks()
	static := *h.route("eth1", "10.0.2.9", 0)
	static.Dst = prefix("172.16.0.0/12")
	wide := *h.route("eth1", "", 0) // a default route on the link of a network card
	h.Routes = append([]Route{wide, static}, h.Routes[:len(h.Routes)-2]...)
	p := h.make(t, fmt.Sprintf(uplinkPolicy, "10.0.2.1"), Numbers{})
	var got []string
	for _, r := range p.Routes {
		if r.Table == p.UplinkNamed("b").Table && r.Family == IPv4 {
			got = append(got, r.Args())
		}
	}
	want := []string{
		"10.0.2.0/24 dev eth1 src 10.0.2.2 table 7001 protocol 119",
		"default via 10.0.2.1 dev eth1 table 7001 protocol 119",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSourceRungs asks for which sources the class's own mark is named as
// well: those that the uplinks' rules would take.
func TestSourceRungs(t *testing.T) {
	for src, want := range map[string]bool{
		"10.0.1.2":             true,
		"10.0.0.0/16":          true,
		"0.0.0.0/0":            true,
		"192.168.0.0/16":       false,
		"2001:db8:1::2":        true,
		"2001:db8:1::8000/113": true, // privacy addresses of the uplink
		"2001:db8:3::/64":      false,
	} {
		t.Run(src, func(t *testing.T) {
			text := fmt.Sprintf(uplinkPolicy, "auto") + "\nclasses: [{name: c, route: [b], match: {src: '" + src + "'}}]"
			p := twoUplinks().make(t, text, Numbers{})
			got := false
			for _, r := range p.Rules {
				got = got || r.Mark != 0 && strings.HasPrefix(r.Rung, "class c: the same for its marked sockets")
			}
			if got != want {
				t.Errorf("marked sockets have a rule of their own: %v, want %v", got, want)
			}
		})
	}
}

func TestTooManyRungs(t *testing.T) {
	policy := "rules: {base: 32000}\n" + fmt.Sprintf(uplinkPolicy, "auto") + "\nclasses:\n  - name: c\n    route: [b]\n    match:\n"
	for i := range 90 {
		policy += fmt.Sprintf("      - src: 192.0.2.%d\n", i)
	}
	p, err := Make(parse(t, policy), twoUplinks().Facts, Numbers{}, Options{})
	want := "write the rules: priority 32771 is past main's: lower `rules: {base: 32000}`, or join the matches on `src` into prefixes"
	if p != nil || err == nil || err.Error() != want {
		t.Errorf("a plan: %v, error %v, want %s", p != nil, err, want)
	}
	if _, err := Make(parse(t, strings.Replace(policy, "32000", "31000", 1)), twoUplinks().Facts, Numbers{}, Options{}); err != nil {
		t.Error(err)
	}
}

// TestAdvertisedNextHop has a router take itself back, as an advertisement with
// the lifetime 0 does, or as BIRD and BGP do: unlike what somebody configured, it
// is not remembered.
func TestAdvertisedNextHop(t *testing.T) {
	stays, goes := "via {6: fe80::1}, from {6: 2001:db8:2::2/64}", "via {}, from {6: 2001:db8:2::2/64}"
	for protocol, want := range map[uint8]string{3: stays, 4: stays, 16: stays, 9: goes, 12: goes, 186: goes} {
		h := newHost()
		h.link("eth0", "10.0.1.2/24")
		h.link("eth1", "2001:db8:2::2/64")
		before := h.Routes
		h.route("eth1", "fe80::1", 1024).Protocol = protocol
		p := h.make(t, fmt.Sprintf(uplinkPolicy, "auto"), Numbers{})
		if diff := cmp.Diff(stays, found(p.UplinkNamed("b"))); diff != "" {
			t.Errorf("protocol %d (-want +got):\n%s", protocol, diff)
		}
		h.Routes = before
		p = h.make(t, fmt.Sprintf(uplinkPolicy, "auto"), p.Numbers)
		if diff := cmp.Diff(want, found(p.UplinkNamed("b"))); diff != "" {
			t.Errorf("protocol %d, its route is gone (-want +got):\n%s", protocol, diff)
		}
	}
}

// TestLostAddressKeepsTheLadder has an uplink's IPv6 address go, as it does with
// its link, and come back: no rule but its own changes.
func TestLostAddressKeepsTheLadder(t *testing.T) {
	h := twoUplinks()
	before := h.make(t, conflictPolicy, Numbers{})
	h.change("eth0", func(l *Link) { l.Addresses = l.Addresses[:1] })
	after := h.make(t, conflictPolicy, before.Numbers)
	changes := after.Diff(holding(before))
	if len(changes.AddRules) != 0 || len(changes.DeleteRules) == 0 {
		t.Errorf("rules are added: %v, and deleted: %v; want none added", changes.AddRules, changes.DeleteRules)
	}
	for _, r := range changes.DeleteRules {
		if !r.From.IsValid() || r.Family != IPv6 {
			t.Errorf("%s goes, which is not of the address", r)
		}
	}
}

// TestOnLink asks for the uplink's default route: whether its next hop has to be said
// to be on the link, as hosting companies have it, in every table of ours.
func TestOnLink(t *testing.T) {
	for _, c := range []struct {
		address, gateway string
		reached          string // by a route of main's; "": by none
		want             string
	}{
		{"10.0.2.2/24", "10.0.2.1", "10.0.2.0/24", "via 10.0.2.1 dev eth1"},
		{"10.0.2.2/32", "172.31.1.1", "", "via 172.31.1.1 dev eth1 onlink"},
		{"10.0.2.2/32", "172.31.1.1", "172.31.1.1/32", "via 172.31.1.1 dev eth1"},
		{"10.0.2.2/32", "169.254.0.1", "", "via 169.254.0.1 dev eth1 onlink"},
		{"10.0.2.2/24", "10.0.2.1", "", "via 10.0.2.1 dev eth1 onlink"}, // noprefixroute
		{"10.0.2.2/32", "fe80::1", "", "via fe80::1 dev eth1"},          // of IPv4, too
		{"2001:db8:2::2/128", "fe80::1", "", "via fe80::1 dev eth1"},
		{"2001:db8:2::2/128", "2001:db8:9::1", "", "via 2001:db8:9::1 dev eth1 onlink"},
	} {
		h := newHost()
		h.link("eth1", c.address)
		h.Routes = nil
		if c.reached != "" {
			p := netip.MustParsePrefix(c.reached)
			h.Routes = []Route{{Family: FamilyOf(p.Addr()), Table: TableMain, Dst: p, Hops: []NextHop{{Interface: "eth1"}}, Protocol: 2}}
		}
		r := h.route("eth1", c.gateway, 0)
		r.Family = FamilyOf(netip.MustParsePrefix(c.address).Addr())
		r.Dst = r.Family.Default()
		p := h.make(t, "uplinks: [{name: b, interface: eth1, probe: {icmp: [192.0.2.1, \"2001:db8::1\"]}}]", Numbers{})
		for _, r := range p.Routes {
			if got := strings.Join(r.Hops[0].words(), " "); r.IsDefault() && got != c.want {
				t.Errorf("%s and %s, reached by %q: table %d: %s, want %s", c.address, c.gateway, c.reached, r.Table, got, c.want)
			}
		}
	}
}

// TestOneNextHopOfBothFamilies has IPv4 go by an IPv6 next hop, as unnumbered BGP has
// it: its route is another than IPv6's, though it reads the same.
func TestOneNextHopOfBothFamilies(t *testing.T) {
	h := newHost()
	h.link("eth0", "10.0.0.2/32", "2001:db8::2/64")
	for _, f := range Families {
		r := h.route("eth0", "fe80::1", 100)
		r.Family, r.Dst = f, f.Default()
	}
	if ways := WaysOut(h.Facts); len(ways) != 1 || len(ways[0].Routes) != 2 {
		t.Errorf("ways out: %v, want one by two routes", ways)
	}
}
