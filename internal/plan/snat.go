// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"

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

// SNATTable and SNATChain are where the rules are, in the family inet.
const (
	SNATTable = "waymark"
	SNATChain = "postrouting"
)

// SNATSetup are the commands that make the table and its chain.
func SNATSetup() []string {
	return []string{
		"nft add table inet " + SNATTable,
		fmt.Sprintf("nft 'add chain inet %s %s { type nat hook postrouting priority srcnat; policy accept; }'", SNATTable, SNATChain),
	}
}

// String is the command that would add the rule.
func (s SNAT) String() string {
	family, what := "ipv4", "masquerade"
	if s.Family == IPv6 {
		family = "ipv6"
	}
	if s.First.IsValid() {
		what = map[Family]string{IPv4: "snat ip to ", IPv6: "snat ip6 to "}[s.Family] + classes.AddressRange{First: s.First, Last: s.Last}.String()
	}
	return fmt.Sprintf("nft add rule inet %s %s oifname %q meta nfproto %s %s", SNATTable, SNATChain, s.Interface, family, what)
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
