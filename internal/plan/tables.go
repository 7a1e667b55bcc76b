// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
)

// defaultMetric6 is the metric the kernel gives an IPv6 route that says none
// (IP6_RT_PRIO_USER); written out, what is read back equals what was planned.
const defaultMetric6 = 1024

// tables fills the uplinks' tables and those of the balances.
func (m *maker) tables() {
	for _, family := range Families {
		for _, u := range m.plan.Uplinks {
			m.connected(family, u)
			m.defaultRoute(family, u)
			m.probeRoute(family, u)
		}
		for _, b := range m.plan.Blocks {
			if b.Way.Weights != nil {
				m.balanceRoute(family, b.Way)
			}
		}
	}
}

// home is the table that the kernel itself has the uplink's routes in.
func (u Uplink) home() uint32 {
	if u.VRF.Table != 0 {
		return u.VRF.Table
	}
	return TableMain
}

// connected copies what the uplink's own link reaches without a next hop.
func (m *maker) connected(family Family, u Uplink) {
	for _, r := range m.facts.Routes {
		if r.Family != family || r.Table != u.home() || r.IsDefault() || len(r.Hops) != 1 {
			continue
		}
		if h := r.Hops[0]; h.Interface == u.Interface && !h.Gateway.IsValid() {
			m.route(Route{Family: family, Table: u.Table, Dst: r.Dst, Source: u.source(r),
				Hops: []NextHop{{Interface: u.Interface}}})
		}
	}
}

// defaultRoute is absent while the link is down, for the kernel refuses it,
// and while the uplink is withdrawn: the next rule answers.
func (m *maker) defaultRoute(family Family, u Uplink) {
	if u.Withdrawn != "" {
		return
	}
	if hop, ok := m.hop(family, u); ok {
		m.route(Route{Family: family, Table: u.Table, Dst: family.Default(), Source: m.preferred(family, u), Hops: []NextHop{hop}})
	}
}

// probeRoute stays when the uplink is withdrawn, for the probes that find out
// whether it works again.
func (m *maker) probeRoute(family Family, u Uplink) {
	if u.Probes == 0 {
		return
	}
	if hop, ok := m.hop(family, u); ok {
		m.route(Route{Family: family, Table: u.Probes, Dst: family.Default(), Source: m.preferred(family, u), Hops: []NextHop{hop}})
	}
}

func (m *maker) hop(family Family, u Uplink) (NextHop, bool) {
	if !u.Families[family] || !m.facts.Links[u.Interface].Up {
		return NextHop{}, false
	}
	gateway := u.Gateways[family]
	reached := !gateway.IsValid() || gateway.Is6() && gateway.IsLinkLocalUnicast() ||
		slices.ContainsFunc(m.plan.Routes, func(r Route) bool { return r.Table == u.Table && !r.IsDefault() && r.Dst.Contains(gateway) })
	return NextHop{Gateway: gateway, Interface: u.Interface, OnLink: !reached}, true
}

// preferred is the source that the host's own default route by this uplink
// asks for; or a deprecated one, if the uplink has no other: by itself the kernel
// would take one of another link.
func (m *maker) preferred(family Family, u Uplink) netip.Addr {
	for _, r := range m.facts.Routes {
		if r.Family == family && r.IsDefault() && r.Protocol != Protocol && len(r.Hops) == 1 && r.Hops[0].Interface == u.Interface {
			if source := u.source(r); source.IsValid() {
				return source
			}
			break
		}
	}
	if source := u.Sources[family]; slices.Contains(m.facts.Links[u.Interface].Deprecated, source) {
		return source.Addr()
	}
	return netip.Addr{}
}

// source is what a route of the host's says of its source, in a table of ours.
// IPv4 takes no address of a VRF there, and finds the link's own by itself.
func (u Uplink) source(r Route) netip.Addr {
	if r.Family == IPv4 && u.VRF.Table != 0 {
		return netip.Addr{}
	}
	return r.Source
}

func (m *maker) balanceRoute(family Family, w Way) {
	r := Route{Family: family, Table: m.table(w.balance()), Dst: family.Default()}
	for i, name := range w.Uplinks {
		u := m.plan.UplinkNamed(name)
		if hop, ok := m.hop(family, *u); ok && u.Withdrawn == "" {
			hop.Weight = w.Weights[i]
			r.Hops = append(r.Hops, hop)
		}
	}
	if len(r.Hops) == 1 {
		r.Hops[0].Weight = 0
	}
	if len(r.Hops) > 0 {
		m.route(r)
	}
}

// always are the prefixes that no uplink's default route is for: loopback,
// multicast, link-local and private ones. A network of another prefix that
// main learns of after an apply is not known until the next.
var always = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// inside is what the host reaches without a default route: itself, and what
// main knows by more.
func (m *maker) inside() {
	m.plan.Inside = slices.Clone(always)
	for _, a := range m.facts.Own {
		m.plan.Inside = append(m.plan.Inside, netip.PrefixFrom(a, a.BitLen()))
	}
	for _, r := range m.facts.Routes {
		if r.Table == TableMain && !r.IsDefault() && r.Refuses != Throw {
			m.plan.ByMain = append(m.plan.ByMain, r.Dst)
		}
	}
	m.plan.Inside = distinct(append(m.plan.Inside, m.plan.ByMain...))
	m.plan.ByMain = distinct(m.plan.ByMain)
}

// distinct are the same prefixes in order, each once.
func distinct(prefixes []netip.Prefix) []netip.Prefix {
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return slices.Compact(prefixes)
}

// route adds a route of ours, unless one has its place in the kernel: of two
// that differ in their source, the one that the kernel lists first counts.
func (m *maker) route(r Route) {
	r.Protocol = Protocol
	if r.Family == IPv6 {
		r.Metric = defaultMetric6
	}
	for _, have := range m.plan.Routes {
		if have.Family == r.Family && have.Table == r.Table && have.Dst == r.Dst && have.Metric == r.Metric {
			return
		}
	}
	m.plan.Routes = append(m.plan.Routes, r)
}
