// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// XfrmUse is an IPsec policy or state that looks for a mark, or sets one.
type XfrmUse struct {
	What       string // in words
	Sets       bool
	Mark, Mask uint32
	Remove     string // the command that removes it
}

// XfrmUses are those of all IPsec policies and states; a kernel without IPsec
// has none.
func XfrmUses() (uses []XfrmUse, err error) {
	policies, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the IPsec policies: %w", err)
	}
	for _, p := range policies {
		if words := policyWords(p); p.Mark != nil && p.Mark.Mask != 0 {
			uses = append(uses, XfrmUse{What: "IPsec policy " + words, Mark: p.Mark.Value, Mask: p.Mark.Mask, Remove: "ip xfrm policy delete " + words})
		}
	}
	states, err := netlink.XfrmStateList(netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list the IPsec states: %w", err)
	}
	for _, s := range states {
		words := stateWords(s)
		use := XfrmUse{What: "IPsec state " + words, Remove: "ip xfrm state delete " + words}
		if s.Mark != nil && s.Mark.Mask != 0 {
			use.Mark, use.Mask = s.Mark.Value, s.Mark.Mask
			uses = append(uses, use)
		}
		if m := s.OutputMark; m != nil && m.Value|m.Mask != 0 {
			if m.Mask == 0 {
				m.Mask = 1<<32 - 1 // as the library says it
			}
			use.What += fmt.Sprintf(" output-mark %#x mask %#x", m.Value, m.Mask)
			use.Sets, use.Mark, use.Mask = true, m.Value, m.Mask
			uses = append(uses, use)
		}
	}
	return uses, nil
}

// policyWords are what ip(8) tells a policy by: the library takes addresses of
// IPv6 for such of IPv4.
func policyWords(p netlink.XfrmPolicy) string {
	return strings.Join(append([]string{"index", fmt.Sprint(p.Index), p.Dir.String()}, markWords(p.Mark, p.Ifid)...), " ")
}

// stateWords are what ip(8) tells a state by.
func stateWords(s netlink.XfrmState) string {
	words := []string{"src", s.Src.String(), "dst", s.Dst.String(), "proto", s.Proto.String(), "spi", fmt.Sprintf("%#x", s.Spi)}
	return strings.Join(append(words, markWords(s.Mark, 0)...), " ")
}

func markWords(m *netlink.XfrmMark, ifid int) (words []string) {
	if m != nil && m.Mask != 0 {
		words = append(words, "mark", fmt.Sprintf("%#x", m.Value), "mask", fmt.Sprintf("%#x", m.Mask))
	}
	if ifid != 0 {
		words = append(words, "if_id", fmt.Sprintf("%#x", uint32(ifid)))
	}
	return words
}
