// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"math"
	"net/netip"
	"slices"

	"waymark/classes"
)

// uplinks finds each uplink's interface, addresses and next hops.
func (m *maker) uplinks() {
	for _, u := range m.policy.Uplinks {
		link, exists := m.facts.Links[u.Interface]
		up := Uplink{
			Name: u.Name, Interface: u.Interface, Index: link.Index, VRF: link.VRF, Strict: u.Strict,
			Number: m.uplinkNumber(u.Name), Table: m.table(u.Name), Up: link.Up && link.Carrier,
			Gateways: map[Family]netip.Addr{}, Families: map[Family]bool{}, Sources: map[Family]netip.Prefix{},
			Addresses: append([]netip.Prefix{}, link.Addresses...),
		}
		if u.Probe != nil {
			up.Withdrawn, up.Probes = m.facts.Withdrawn[u.Name], m.table(probeTable(u.Name))
		}
		for _, family := range Families {
			m.gateway(u, link, family, &up)
			m.source(family, &up)
		}
		switch {
		case !exists:
			m.wait("uplink %s: interface %s does not exist yet: its classes take their next uplink", u.Name, u.Interface)
		case len(up.Families) == 0 && len(up.Gateways) > 0:
			m.wait("uplink %s: %s has no address to send from: its classes take their next uplink", u.Name, u.Interface)
		case len(up.Families) == 0:
			m.wait("uplink %s: no next hop is known on %s: write `gateway: [ADDRESS]`, or `gateway: none` if it needs none", u.Name, u.Interface)
		}
		if len(up.Gateways) > 0 {
			m.plan.Numbers.Gateways[u.Interface] = m.lasting(u, up.Gateways)
		}
		m.plan.Uplinks = append(m.plan.Uplinks, up)
	}
	m.plan.Main = m.mainUplink()
}

// probeTable is the name of the table that what is bound to an uplink's
// interface takes: no uplink has such a name.
func probeTable(uplink string) string { return uplink + " probed" }

// table is the routing table that goes by a name, the lowest free one from
// the policy's base if it has none yet. One of the last plan's is not free:
// its rules are still there while this plan's routes are added.
func (m *maker) table(name string) uint32 {
	if t, ok := m.plan.Numbers.Tables[name]; ok {
		return t
	}
	taken := slices.Collect(maps.Values(m.plan.Numbers.Tables))
	taken = slices.AppendSeq(taken, maps.Values(m.before.Tables))
	t := uint32(m.policy.Tables.Base)
	for slices.Contains(taken, t) {
		t++
	}
	m.plan.Numbers.Tables[name] = t
	return t
}

// forgetTables gives up the tables that no uplink and no block has any more.
func (m *maker) forgetTables() {
	used := map[string]bool{}
	for _, u := range m.plan.Uplinks {
		used[u.Name] = true
		if u.Probes != 0 {
			used[probeTable(u.Name)] = true
		}
	}
	for _, b := range m.plan.Blocks {
		for _, name := range b.Way.tables() {
			used[name] = true
		}
	}
	maps.DeleteFunc(m.plan.Numbers.Tables, func(name string, _ uint32) bool { return !used[name] })
}

// gateway finds the next hop: as written, or as the host's own routes say. It is
// a way out if there is an address to send from: the kernel would take another
// uplink's, and send it here.
func (m *maker) gateway(u classes.Uplink, link Link, family Family, up *Uplink) {
	if link.Index == 0 {
		return
	}
	for _, a := range u.Gateway.Addresses {
		if FamilyOf(a) == family {
			up.next(family, a, m.hasSource(u, link, a))
		}
	}
	switch {
	case !u.Gateway.Auto && len(u.Gateway.Addresses) > 0:
	case !u.Gateway.Auto || link.PointToPoint:
		if m.carries(u, link, family) {
			up.Families[family] = true
		}
	default:
		if a, ok := m.autoGateway(u, family); ok {
			up.next(family, a, m.hasSource(u, link, a))
		}
	}
}

// Protocols of the routes that stay said when they are gone: RTPROT_STATIC, the last
// of those by hand or from the kernel, and RTPROT_DHCP, whose lease has its address.
const static, leased = 4, 16

// lasting are the next hops that are still the host's when its routes are gone. A
// router that advertised itself is asked again when a link returns, and takes
// itself back while it is up, and so does a routing daemon: when its route is
// gone, so is it.
func (m *maker) lasting(u classes.Uplink, gateways map[Family]netip.Addr) map[Family]netip.Addr {
	all := maps.Clone(gateways)
	maps.DeleteFunc(all, func(f Family, g netip.Addr) bool {
		return slices.ContainsFunc(m.facts.Routes, func(r Route) bool {
			return r.Family == f && r.IsDefault() && r.Protocol > static && r.Protocol != leased && r.Protocol != Protocol &&
				slices.ContainsFunc(r.Hops, func(h NextHop) bool { return h.Interface == u.Interface && h.Gateway == g })
		})
	})
	return all
}

// next notes a family's next hop, and whether it is a way out.
func (u *Uplink) next(family Family, gateway netip.Addr, leads bool) {
	u.Gateways[family] = gateway
	if leads {
		u.Families[family] = true
	}
}

// hasSource tells whether what leaves by a next hop has an address: the link's
// own, or one that the host's own default route by it lends. IPv6 also borrows
// one of a prefix that was delegated to the host, and is on no uplink.
func (m *maker) hasSource(u classes.Uplink, link Link, gateway netip.Addr) bool {
	return m.homes(u, link, FamilyOf(gateway)) || gateway.Is6() && gateway.IsLinkLocalUnicast() && m.spares(IPv6)
}

// spares tells whether the host has an address of a family that is on no uplink.
func (m *maker) spares(family Family) bool {
	return slices.ContainsFunc(m.facts.Own, func(a netip.Addr) bool {
		return FamilyOf(a) == family && a.IsGlobalUnicast() && (a.Is4() || !a.IsPrivate()) && !m.onUplink(a)
	})
}

func (m *maker) onUplink(a netip.Addr) bool { return len(m.holders(a)) > 0 }

// holders are the uplinks that have an address.
func (m *maker) holders(a netip.Addr) (names []string) {
	for _, u := range m.policy.Uplinks {
		if slices.ContainsFunc(m.facts.Links[u.Interface].Addresses, func(p netip.Prefix) bool { return p.Addr() == a }) {
			names = append(names, u.Name)
		}
	}
	return names
}

// carries tells whether a link without next hops is for a family: it has an
// address of it, or the host a default route by it. One without addresses
// borrows those of other links, and is for both.
func (m *maker) carries(u classes.Uplink, link Link, family Family) bool {
	return len(link.Addresses) == 0 || m.homes(u, link, family)
}

// homes tells whether a link has an address of a family, or the host a default
// route by it that lends one.
func (m *maker) homes(u classes.Uplink, link Link, family Family) bool {
	return slices.ContainsFunc(link.Addresses, func(a netip.Prefix) bool { return FamilyOf(a.Addr()) == family }) ||
		slices.ContainsFunc(m.facts.Routes, func(r Route) bool {
			return r.Family == family && r.IsDefault() && r.Protocol != Protocol &&
				r.LeadsBy(u.Interface) && m.lends(r)
		})
}

// lends tells whether what leaves by a route of the host has an address that is no
// uplink's. An IPv6 route stays when the link's last address is gone, and the kernel
// then takes any there is.
func (m *maker) lends(r Route) bool {
	if r.Source.IsValid() {
		return !m.onUplink(r.Source)
	}
	return m.spares(r.Family) || !slices.ContainsFunc(m.facts.Own, func(a netip.Addr) bool { return FamilyOf(a) == r.Family && m.onUplink(a) })
}

// autoGateway is the next hop of the host's best default route through the
// interface: main's before any other table's, the lowest metric first, and
// the one found last time, if it lasts, when the link's routes are gone.
func (m *maker) autoGateway(u classes.Uplink, family Family) (netip.Addr, bool) {
	var best netip.Addr
	rank := func(r Route) uint64 {
		if r.Table == TableMain {
			return uint64(r.Metric)
		}
		return 1<<32 + uint64(r.Metric)
	}
	lowest := uint64(math.MaxUint64)
	for _, r := range m.facts.Routes {
		if r.Family != family || !r.IsDefault() || r.Protocol == Protocol || rank(r) >= lowest {
			continue
		}
		for _, h := range r.Hops {
			if h.Interface == u.Interface && h.Gateway.IsValid() {
				best, lowest = h.Gateway, rank(r)
			}
		}
	}
	if !best.IsValid() {
		best = m.before.Gateways[u.Interface][family]
	}
	return best, best.IsValid()
}

// source is the address that unbound traffic by the uplink carries: the one
// the host's own default route prefers, or the first in the next hop's net,
// or the first.
func (m *maker) source(family Family, up *Uplink) {
	var own []netip.Prefix
	for _, a := range up.Addresses {
		if FamilyOf(a.Addr()) == family {
			own = append(own, a)
		}
	}
	preferred, gateway := m.preferred(family, *up), up.Gateways[family]
	for _, leads := range []func(a netip.Prefix) bool{
		func(a netip.Prefix) bool { return a.Addr() == preferred },
		func(a netip.Prefix) bool { return a.Masked().Contains(gateway) },
		netip.Prefix.IsValid,
	} {
		if i := slices.IndexFunc(own, leads); i >= 0 {
			up.Sources[family] = own[i]
			return
		}
	}
}

// mainUplink is the uplink of main's best default route, if that leads to
// one.
func (m *maker) mainUplink() int {
	best, lowest := -1, uint32(math.MaxUint32)
	for _, r := range m.facts.Routes {
		if r.Table != TableMain || !r.IsDefault() || r.Metric >= lowest || len(r.Hops) == 0 {
			continue
		}
		best, lowest = -1, r.Metric
		for _, u := range m.plan.Uplinks {
			if u.Interface == r.Hops[0].Interface {
				best = u.Number
			}
		}
	}
	return best
}
