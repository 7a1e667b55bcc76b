// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"waymark/classes"
)

// Answer is a number of the mask by which the answers to what is forwarded in
// by an uplink leave by it: the connection keeps it in its own mark, and gives
// it to the packets that come back. No class has the number.
type Answer struct {
	Interface string `json:"interface"`
	Family    Family `json:"family"`
	Mark      uint32 `json:"mark"` // host byte order, inside Mask
	Mask      uint32 `json:"mask"` // that of the instance: the other bits of both marks are left alone
}

// answersSetup are the commands that make the two chains.
func answersSetup() []string {
	return []string{
		fmt.Sprintf("nft 'add chain inet %s %s { type filter hook forward priority mangle; policy accept; }'", Nftables, ComesChain),
		fmt.Sprintf("nft 'add chain inet %s %s { type filter hook prerouting priority mangle; policy accept; }'", Nftables, AnswersChain),
	}
}

// comes is the command that would add the rule by which a connection that comes
// in by the uplink, and goes on from here, remembers it.
func (a Answer) comes() string {
	return fmt.Sprintf("nft 'add rule inet %s %s iifname %q meta nfproto %s ct direction original ct mark set %s'",
		Nftables, ComesChain, a.Interface, a.Family.nft(), a.in("ct mark"))
}

// goes is the command that would add the rule by which its answers get the mark.
func (a Answer) goes() string {
	return fmt.Sprintf("nft 'add rule inet %s %s ct mark & %#x == %#x meta nfproto %s ct direction reply meta mark set %s'",
		Nftables, AnswersChain, a.Mask, a.Mark, a.Family.nft(), a.in("meta mark"))
}

// in is a mark with the answer's number in our bits, as nft says it.
func (a Answer) in(mark string) string {
	if kept := ^a.Mask | a.Mark; kept != 1<<32-1 {
		mark += fmt.Sprintf(" & %#x", kept)
	}
	return fmt.Sprintf("%s | %#x", mark, a.Mark)
}

// answers gives a number to every uplink that others may be forwarded in by,
// from the mask's highest down: classes take the lowest, and come first. carried
// are those that sockets and classes of the last plan have.
func (m *maker) answers(carried map[uint32]bool) {
	m.plan.Numbers.Answers = map[string]uint32{}
	for _, c := range m.plan.Classes {
		carried[c.Number] = true
	}
	for k, u := range m.plan.Uplinks {
		families := m.answered(u)
		if families == nil || m.policy.Uplinks[k].Lopsided {
			continue
		}
		n := m.before.Answers[u.Name]
		if n == 0 || carried[n] {
			for n = m.plan.Mask.Highest(); n > 0 && carried[n]; n-- {
			}
		}
		if n == 0 {
			m.cramped = append(m.cramped, u.Name)
			continue
		}
		carried[n] = true
		m.plan.Numbers.Answers[u.Name] = n
		for _, f := range families {
			m.plan.Answers = append(m.plan.Answers, Answer{Interface: u.Interface, Family: f, Mark: m.plan.Mask.Spread(n), Mask: uint32(m.plan.Mask)})
		}
	}
}

// answerRungs send answers by the uplink that was asked, and by no other: their
// source is of this one, or will be when it is translated back.
func (m *maker) answerRungs(family Family) (rungs []rung) {
	for _, a := range m.plan.Answers {
		for _, u := range m.plan.Uplinks {
			if a.Family == family && u.Interface == a.Interface {
				rungs = append(rungs, rung{selector: selector{mark: a.Mark, mask: a.Mask}, strict: u.Strict, tables: []string{u.Name},
					otherwise: classes.OtherwiseUnreachable, why: "answers to what is forwarded in by uplink " + u.Name})
			}
		}
	}
	return rungs
}

// answered are the families in which answers of an uplink may have more than
// one way. One whose interface is away may be back with both, and one whose
// addresses are gone with these: until then its answers are not to leave by
// another.
func (m *maker) answered(u Uplink) (families []Family) {
	for _, f := range Families {
		if m.facts.Tracks && len(m.plan.Uplinks) > 1 && m.facts.forwards(f) && (u.Families[f] || u.Gateways[f].IsValid() || u.Index == 0) {
			families = append(families, f)
		}
	}
	return families
}

// ForwardingNames are the sysctls that say whether a host forwards, by family.
var ForwardingNames = map[Family]string{IPv4: "net/ipv4/ip_forward", IPv6: "net/ipv6/conf/all/forwarding"}

// forwards tells whether the host forwards packets of a family.
func (f *Facts) forwards(family Family) bool {
	v := f.Sysctls[ForwardingNames[family]]
	return v != "" && v != "0"
}

// Forwards tells whether the host forwards anything.
func (f *Facts) Forwards() bool { return f.forwards(IPv4) || f.forwards(IPv6) }
