// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"waymark/classes"
)

// SNAT is one rule of Waymark's own nftables table: what leaves by an
// interface gets a source that the far side can answer to.
type SNAT struct {
	Interface string     `json:"interface"`
	Family    Family     `json:"family"`
	First     netip.Addr `json:"first"` // with Last: the addresses to take one of; zero: the interface's own
	Last      netip.Addr `json:"last"`
}

// Nftables is the name of Waymark's own table, in the family inet; the others
// are its chains. Each is there if it has a rule.
const (
	Nftables     = "waymark"
	SNATChain    = "postrouting"
	ComesChain   = "forward"
	AnswersChain = "prerouting"
)

// snatSetup is the command that makes the chain.
func snatSetup() string {
	return fmt.Sprintf("nft 'add chain inet %s %s { type nat hook postrouting priority srcnat; policy accept; }'", Nftables, SNATChain)
}

// Table is all that the table holds. The zero value is no table.
type Table struct {
	SNAT    []SNAT
	Answers []Answer
	Others  int // rules and chains that no plan has, and rules that are missing
}

// Empty tells whether there is nothing in it.
func (t Table) Empty() bool { return len(t.SNAT)+len(t.Answers)+t.Others == 0 }

func (t Table) equal(o Table) bool {
	return slices.Equal(t.SNAT, o.SNAT) && slices.Equal(t.Answers, o.Answers) && t.Others == o.Others
}

// Table is what the plan wants in it.
func (p *Plan) Table() Table { return Table{SNAT: p.SNAT, Answers: p.Answers} }

// Translators are the interfaces whose packets may get an address as their source.
func (p *Plan) Translators(a netip.Addr) (interfaces []string) {
	for _, s := range p.SNAT {
		own := func(u Uplink) bool {
			return u.Interface == s.Interface && slices.ContainsFunc(u.Addresses, func(o netip.Prefix) bool { return o.Addr() == a })
		}
		if s.First.IsValid() && s.First.Compare(a) <= 0 && a.Compare(s.Last) <= 0 || !s.First.IsValid() && slices.ContainsFunc(p.Uplinks, own) {
			interfaces = append(interfaces, s.Interface)
		}
	}
	return interfaces
}

// nft is the family as `meta nfproto` has it.
func (f Family) nft() string { return map[Family]string{IPv4: "ipv4", IPv6: "ipv6"}[f] }

// String is the command that would add the rule.
func (s SNAT) String() string {
	what := "masquerade"
	if s.First.IsValid() {
		what = map[Family]string{IPv4: "snat ip to ", IPv6: "snat ip6 to "}[s.Family] + classes.AddressRange{First: s.First, Last: s.Last}.String()
	}
	return fmt.Sprintf("nft add rule inet %s %s oifname %q meta nfproto %s %s", Nftables, SNATChain, s.Interface, s.Family.nft(), what)
}

func (m *maker) snat() {
	for _, u := range m.policy.Uplinks {
		if !u.SNAT {
			continue
		}
		for _, family := range Families {
			s := SNAT{Interface: u.Interface, Family: family}
			for _, to := range u.SNATTo {
				if FamilyOf(to.First) == family {
					s.First, s.Last = to.First, to.Last
				}
			}
			m.plan.SNAT = append(m.plan.SNAT, s)
		}
	}
}
