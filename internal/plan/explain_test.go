// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"testing"

	"waymark/internal/match"
)

const explainPolicy = `
uplinks:
  - {name: a, interface: eth0}
  - {name: b, interface: eth1}
classes:
  - {name: both, route: [b, a], match: [{uid: 1}, {cgroup: app.slice, proto: udp, dport: 53}]}
  - {name: only, route: [b], otherwise: unreachable, match: [{uid: [trader, 5-6]}]}
  - {name: spread, route: {b: 2, a: 1}, otherwise: prohibit, match: {cgroup: app.slice}}
  - {name: source, route: [b], match: {src: [192.168.1.0/24, "2001:db8:9::/48"]}}
  - {name: far, route: [b], strict: true, match: {dst: [203.0.113.0/24, "2001:db8:f::/48"], proto: tcp, dport: 80-90}}
`

func explainHost() *host {
	h := twoUplinks()
	h.link("docker0", "172.30.0.1/24")
	h.Users["trader"] = 7
	return h
}

func TestWinner(t *testing.T) {
	p := explainHost().make(t, explainPolicy, Numbers{})
	any4 := netip.IPv4Unspecified()
	for _, c := range []struct {
		name string
		flow match.Flow
		line string
	}{
		{"nothing is known of it", match.Flow{}, ""},
		{"a uid", match.Flow{UID: 1}, "{uid: 1}"},
		{"a user by name", match.Flow{UID: 7}, "{uid: [trader, 5-6]}"},
		{"a range of uids", match.Flow{UID: 6}, "{uid: [trader, 5-6]}"},
		{"beside the range", match.Flow{UID: 4}, ""},
		{"an earlier class wins", match.Flow{UID: 1, Cgroup: "app.slice"}, "{uid: 1}"},
		{"an earlier match of fewer fields", match.Flow{Cgroup: "app.slice", Proto: 17, Dport: 53}, "{cgroup: app.slice, proto: udp, dport: 53}"},
		{"one field of it is another", match.Flow{Cgroup: "app.slice", Proto: 6, Dport: 53}, "{cgroup: app.slice}"},
		{"deep in the cgroup", match.Flow{Cgroup: "app.slice/x/y"}, "{cgroup: app.slice}"},
		{"a cgroup whose name begins so", match.Flow{Cgroup: "app.slices"}, ""},
		{"a source", match.Flow{Src: addr("192.168.1.77"), Dst: addr("203.0.113.1")}, "{src: [192.168.1.0/24, 2001:db8:9::/48]}"},
		{"an unbound socket", match.Flow{Src: any4, Dst: addr("203.0.113.1"), Proto: 6, Dport: 80}, "{proto: tcp, dst: [203.0.113.0/24, 2001:db8:f::/48], dport: 80-90}"},
		{"beyond the ports", match.Flow{Src: any4, Dst: addr("203.0.113.1"), Proto: 6, Dport: 91}, ""},
		{"the destination is not known yet", match.Flow{Proto: 6, Dport: 80}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if line := p.Winner(c.flow); line != nil {
				got = line.Text.String()
			}
			if got != c.line {
				t.Errorf("%q wins, want %q", got, c.line)
			}
		})
	}
}

// resolveCases ask a plan with the marks of classes, by name.
var resolveCases = []struct {
	name      string
	host      func(*host)
	class     string
	dst, src  string
	action    Action
	table     uint32
	uplink    string
	source    string
	intrudes  bool // somebody else's rule is in the way that cannot be judged
	gateway   string
	otherMark uint32
	device    string // that it is bound to
}{
	{name: "no class", dst: "203.0.113.1", action: Lookup, table: TableMain, uplink: "a", source: "10.0.1.2", gateway: "10.0.1.1"},
	{name: "no class, IPv6", dst: "2001:db8:f::1", action: Lookup, table: TableMain, uplink: "a", source: "2001:db8:1::2", gateway: "2001:db8:1::1"},
	{name: "a class", class: "both", dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "a class, without a destination", class: "both", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "somebody's bits beside the class's", class: "both", otherMark: 0x88, dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "what main knows", class: "both", dst: "172.30.0.9", action: Lookup, table: TableMain, source: "172.30.0.1"},
	{name: "what main knows, from a strict class", class: "far", dst: "172.30.0.9", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "on the uplink's link", class: "far", dst: "10.0.2.9", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2"},
	{name: "bound to the other uplink", class: "both", src: "10.0.1.2", dst: "203.0.113.1", action: Lookup, table: 7000, uplink: "a", source: "10.0.1.2", gateway: "10.0.1.1"},
	{name: "bound to an address beside it in the /64", class: "both", src: "2001:db8:1::99", dst: "2001:db8:f::1", action: Lookup, table: 7000, uplink: "a", source: "2001:db8:1::99", gateway: "2001:db8:1::1"},
	{name: "a source that is a class, unmarked", src: "192.168.1.3", dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "192.168.1.3", gateway: "10.0.2.1"},
	{name: "that source in another class", class: "spread", src: "192.168.1.3", dst: "203.0.113.1", action: Lookup, table: 7002, uplink: "b", source: "192.168.1.3", gateway: "10.0.2.1"},
	{name: "a balance", class: "spread", dst: "203.0.113.1", action: Lookup, table: 7002, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "the first uplink has no carrier", host: unplugged, class: "both", dst: "203.0.113.1", action: Lookup, table: 7000, uplink: "a", source: "10.0.1.2", gateway: "10.0.1.1"},
	{name: "the only uplink has no carrier", host: unplugged, class: "only", dst: "203.0.113.1", action: Unreachable},
	{name: "a strict class, and otherwise main", host: unplugged, class: "far", dst: "203.0.113.1", action: Lookup, table: TableMain, uplink: "a", source: "10.0.1.2", gateway: "10.0.1.1"},
	{name: "a balance with one uplink left", host: unplugged, class: "spread", dst: "203.0.113.1", action: Lookup, table: 7002, uplink: "a", source: "10.0.1.2", gateway: "10.0.1.1"},
	{name: "a balance with none", host: func(h *host) {
		unplugged(h)
		h.change("eth0", func(l *Link) { l.Carrier = false })
	}, class: "spread", dst: "203.0.113.1", action: Prohibit},
	{name: "somebody's rule before ours", host: foreign(func(r *Rule) { r.Priority, r.Table = 100, TableMain }), class: "both", dst: "203.0.113.1", action: Lookup, table: TableMain, uplink: "a", source: "10.0.1.2", gateway: "10.0.1.1"},
	{name: "somebody's rule for what comes in", host: foreign(func(r *Rule) { r.Priority, r.Other = 100, "iif eth7" }), class: "both", dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "somebody's rule for all but a mark", host: foreign(func(r *Rule) { r.Priority, r.Other, r.Mark, r.Mask, r.Table = 100, "not", 5, 1<<32-1, TableMain }), class: "both", dst: "203.0.113.1", action: Lookup, table: TableMain, uplink: "a", source: "10.0.1.2", gateway: "10.0.1.1"},
	{name: "somebody's rule for others' destinations", host: foreign(func(r *Rule) { r.Priority, r.Other = 100, "to 198.51.100.0/24 uidrange 1-2" }), class: "both", dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "somebody's rule that cannot be judged", host: foreign(func(r *Rule) { r.Priority, r.Other = 100, "to 203.0.113.0/24 uidrange 1-2" }), class: "both", dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1", intrudes: true},
	{name: "somebody's table", host: func(h *host) {
		foreign(func(r *Rule) { r.Priority, r.From, r.Table = 100, prefix("10.0.1.0/24"), 300 })(h)
		r := *h.route("docker0", "172.30.0.254", 5)
		r.Table = 300
		worse := r
		worse.Metric, worse.Hops = 9, []NextHop{{Interface: "eth0"}}
		h.Routes = append([]Route{worse, r}, h.Routes[:len(h.Routes)-1]...)
	}, src: "10.0.1.2", dst: "203.0.113.1", action: Lookup, table: 300, source: "10.0.1.2", gateway: "172.30.0.254"},
	{name: "main's default is gone, and it has one that refuses", host: refusing(TableMain, Unreachable, IPv4.Default()), class: "both", dst: "203.0.113.1", action: Unreachable, table: TableMain},
	{name: "the same, and a strict class", host: refusing(TableMain, Unreachable, IPv4.Default()), class: "far", dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "main throws", host: refusing(TableMain, Throw, IPv4.Default()), class: "both", dst: "203.0.113.1", action: Lookup, table: 7001, uplink: "b", source: "10.0.2.2", gateway: "10.0.2.1"},
	{name: "main refuses a network", host: refusing(TableMain, Prohibit, prefix("203.0.113.0/24")), class: "both", dst: "203.0.113.1", action: Prohibit, table: TableMain},
	{name: "somebody's table refuses", host: func(h *host) {
		foreign(func(r *Rule) { r.Priority, r.Table = 100, 300 })(h)
		refusing(300, Blackhole, IPv4.Default())(h)
	}, dst: "203.0.113.1", action: Blackhole, table: 300},
	{name: "bound to the link of a link-local address", dst: "2001:db8:1::9", device: "eth0", action: Lookup, table: TableMain, uplink: "a", source: "2001:db8:1::2"},
	{name: "bound to another link", dst: "2001:db8:1::9", device: "eth1", action: Lookup, table: 7001, uplink: "b", source: "2001:db8:2::2", gateway: "2001:db8:2::1"},
	{name: "main has no default", host: func(h *host) {
		kept := h.Routes[:0]
		for _, r := range h.Routes {
			if !r.IsDefault() || r.Hops[0].Interface == "eth1" && r.Family == IPv6 {
				kept = append(kept, r)
			}
		}
		h.Routes = kept
	}, dst: "203.0.113.1", action: ""},
}

func unplugged(h *host) { h.change("eth1", func(l *Link) { l.Carrier = false }) }

// refusing is a route of somebody's that does not send, where main's own defaults
// are dead.
func refusing(table uint32, does Action, dst netip.Prefix) func(*host) {
	return func(h *host) {
		for k := range h.Routes {
			h.Routes[k].Down = h.Routes[k].Down || h.Routes[k].IsDefault() && dst.Bits() == 0 && table == TableMain
		}
		h.Routes = append(h.Routes, Route{Family: FamilyOf(dst.Addr()), Table: table, Dst: dst, Metric: 9999, Protocol: 3, Refuses: does})
	}
}

func TestResolve(t *testing.T) {
	for _, c := range resolveCases {
		t.Run(c.name, func(t *testing.T) {
			h := explainHost()
			if c.host != nil {
				c.host(h)
			}
			p := h.make(t, explainPolicy, Numbers{})
			q := Packet{Family: IPv4, Mark: c.otherMark, Interface: c.device}
			for i := range p.Classes {
				if p.Classes[i].Name == c.class {
					q.Mark |= p.Classes[i].Mark
				}
			}
			if c.dst != "" {
				q.Dst = addr(c.dst)
				q.Family = FamilyOf(q.Dst)
			}
			if c.src != "" {
				q.Src = addr(c.src)
			}
			v := p.Resolve(h.Facts, q)
			if v.Does() != c.action || v.Rule.Table != c.table {
				t.Errorf("rule %q, want %s %s", v.Rule.Args(), c.action, TableName(c.table))
			}
			if v.Uplink != c.uplink || text(v.Source) != c.source || text(v.Gateway) != c.gateway {
				t.Errorf("by uplink %q from %s via %s, want %q from %s via %s", v.Uplink, text(v.Source), text(v.Gateway), c.uplink, c.source, c.gateway)
			}
			if intrudes := len(v.Unsure) > 0; intrudes != c.intrudes {
				t.Errorf("not judged: %v", v.Unsure)
			}
		})
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestClassOf(t *testing.T) {
	p := explainHost().make(t, explainPolicy, Numbers{})
	for _, c := range p.Classes {
		if got := p.ClassOf(c.Mark | 0x88); got == nil || got.Name != c.Name {
			t.Errorf("mark %#x is that of %v, want %s", c.Mark, got, c.Name)
		}
	}
	if got := p.ClassOf(0x88); got != nil {
		t.Errorf("mark 0x88 is that of %s, want of nobody", got.Name)
	}
}
