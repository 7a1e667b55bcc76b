// SPDX-License-Identifier: Apache-2.0

package filters

import "strings"

// Shown are the chains of nftables whose rules iptables-save printed as its own. It
// prints nothing of a table with a rule or a chain that it does not know, though
// nftables has one of the same name as iptables'.
type Shown map[chain]bool

type chain struct{ family, table, name string }

// ShownBy are those of some texts.
func ShownBy(all []Saved) Shown {
	shown := Shown{}
	for _, s := range all {
		for _, t := range s.Tables() {
			for _, rule := range t.Rules {
				name, _, _ := strings.Cut(strings.TrimPrefix(rule, "-A "), " ")
				for _, family := range s.families() {
					shown[chain{family, t.Name, name}] = true
				}
			}
		}
	}
	return shown
}

// Has tells whether a chain is one of them.
func (s Shown) Has(family, table, name string) bool { return s[chain{family, table, name}] }

// families are those in nftables that a text may be of: a file does not say, and
// what is not in nftables is of none.
func (s Saved) families() []string {
	switch s.Command {
	case "iptables-legacy", "ip6tables-legacy":
		return nil
	case "iptables":
		return []string{"ip"}
	case "ip6tables":
		return []string{"ip6"}
	}
	return []string{"ip", "ip6"}
}
