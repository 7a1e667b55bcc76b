// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
)

// reverseFilter plans the reverse path filter of an uplink, where it is strict,
// or would be without the last plan: it stays where nothing that is wanted is
// dropped by it, and is loosened elsewhere.
func (m *maker) reverseFilter(k int) {
	u := &m.plan.Uplinks[k]
	name := rpFilter(u.Interface)
	own, exists := m.facts.Sysctls[name]
	if m.madeLoose(u.Interface) {
		own = "1" // for all that is known
		if before, known := m.facts.Before[name]; known {
			own = before
		}
	}
	strict := own == "1" || m.facts.Sysctls["net/ipv4/conf/all/rp_filter"] == "1" && own != "2"
	if !exists || !strict {
		return
	}
	if why := m.loosens(k); why != "" {
		m.sysctl(name, "2", "strict filtering would drop what is wanted: "+why)
		return
	}
	m.plan.Kept = append(m.plan.Kept, Sysctl{Name: name, Value: "1", Why: "strict filtering stays: a rule leads back by " + u.Interface + " from each of its addresses"})
}

// loosens says why strict filtering would drop what is wanted of an uplink; "":
// it would not. The kernel looks by which interface it would send from the address
// that was asked to whoever asks, without a mark, and drops what came in by another.
func (m *maker) loosens(k int) string {
	u := &m.plan.Uplinks[k]
	switch {
	case m.facts.forwards(IPv4):
		return "this host forwards, and no rule leads back from the addresses behind it"
	case m.policy.Uplinks[k].SNAT:
		return "answers to what is translated are for another address"
	case u.VRF.Name != "":
		return u.Interface + " is in VRF " + u.VRF.Name + ", whose table leads back before any rule of ours"
	case u.Probes != 0:
		return "while it is withdrawn, nothing leads back for the answers to its probes"
	case !u.Families[IPv4]:
		return "it has no IPv4 way out that would lead back"
	case m.facts.Links[u.Interface].Leased:
		return "its address is leased, and from the next one nothing leads back until the next apply"
	}
	if a := m.homeless(); a.IsValid() {
		return fmt.Sprintf("classes send from %s, which is no uplink's, by any of them, and nothing leads back", a)
	}
	for _, a := range u.Addresses {
		if FamilyOf(a.Addr()) != IPv4 {
			continue
		}
		if why := m.astray(u, a); why != "" {
			return why
		}
	}
	return ""
}

// homeless is the lowest IPv4 address of the host that is on no uplink; invalid:
// there is none.
func (m *maker) homeless() (lowest netip.Addr) {
	for _, a := range m.facts.Own {
		if a.Is4() && !m.onUplink(a) && (!lowest.IsValid() || a.Less(lowest)) {
			lowest = a
		}
	}
	return lowest
}

// astray says what leads elsewhere from an uplink's address; "": nothing does.
func (m *maker) astray(u *Uplink, a netip.Prefix) string {
	for _, other := range m.plan.Uplinks {
		if other.Name != u.Name && slices.ContainsFunc(other.Addresses, a.Overlaps) {
			return fmt.Sprintf("it is in one network with uplink %s", other.Name)
		}
	}
	for _, c := range m.plan.Classes {
		if c.Route.Strict && !u.Strict && slices.Contains(c.Route.Uplinks, u.Name) {
			return fmt.Sprintf("class %s is strict, and main leads back elsewhere from where that leads", c.Name)
		}
	}
	first := slices.IndexFunc(m.plan.Rules, func(r Rule) bool { return r.Family == IPv4 && !r.Suppress && r.takes(a.Addr()) })
	if first < 0 || m.plan.Rules[first].Table != u.Table {
		return fmt.Sprintf("another rule of ours than the uplink's is for what comes from %s", a.Addr())
	}
	for _, r := range m.foreignRules() {
		if r.Family == IPv4 && r.Priority < m.plan.Rules[first].Priority && r.Table != TableLocal && r.Action != lookupVRF {
			return fmt.Sprintf("a rule of others comes before ours: %s", r)
		}
	}
	return ""
}

// takes tells whether a rule of ours is for packets from an address that have no
// mark, and are of no socket that is bound to an interface.
func (r Rule) takes(from netip.Addr) bool {
	return r.OIF == "" && (r.Mask == 0 || r.Mark == 0) && (!r.From.IsValid() || r.From.Contains(from))
}
