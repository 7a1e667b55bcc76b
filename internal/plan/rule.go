// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"strings"
)

// Protocol is the routing protocol number on every rule and route that is
// Waymark's (FRA_PROTOCOL, RTA_PROTOCOL): 'w'. No daemon known to
// iproute2's rt_protos or to FRR uses it. What carries another number is
// never changed and never removed.
const Protocol = 119

// Table numbers of the kernel (include/uapi/linux/rtnetlink.h).
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// Family is an address family by its IP version.
type Family uint8

// The two families; every rule and route belongs to one.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Families lists both, in the order in which everything is printed.
var Families = []Family{IPv4, IPv6}

// FamilyOf is the family of an address; v4-mapped addresses count as IPv4.
func FamilyOf(a netip.Addr) Family {
	if a.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// Default is the family's default prefix, 0.0.0.0/0 or ::/0.
func (f Family) Default() netip.Prefix {
	if f == IPv4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// Option is the family as ip(8) takes it: "-4" or "-6".
func (f Family) Option() string { return fmt.Sprintf("-%d", f) }

// String is "IPv4" or "IPv6".
func (f Family) String() string { return fmt.Sprintf("IPv%d", f) }

// Action is what a rule does with the packets it selects, in ip(8)'s words.
type Action string

// The actions Waymark writes; what other people's rules do beside these is
// kept in the same words ("goto", "nop").
const (
	Lookup      Action = "lookup"
	Unreachable Action = "unreachable"
	Prohibit    Action = "prohibit"
	Blackhole   Action = "blackhole"
)

// Throw is what only a route does: the table is left, for the next rule.
const Throw Action = "throw"

// lookupVRF is the action of the kernel's rule for what is bound to a VRF, or comes in by one.
const lookupVRF Action = "l3mdev"

// Rule is one rule of the routing policy database. Two rules are the same
// rule when their Keys are equal.
type Rule struct {
	Family   Family       `json:"family"`
	Priority uint32       `json:"priority"`
	From     netip.Prefix `json:"from"`               // zero: all
	OIF      string       `json:"oif,omitempty"`      // the interface that a socket is bound to; "": any
	Mark     uint32       `json:"mark"`               // host byte order, inside Mask
	Mask     uint32       `json:"mask,omitempty"`     // zero: the rule does not look at the fwmark
	Action   Action       `json:"action"`             //
	Table    uint32       `json:"table,omitempty"`    // for Lookup
	Suppress bool         `json:"suppress,omitempty"` // suppress_prefixlength 0: a default route found in Table does not count
	Protocol uint8        `json:"protocol"`           // FRA_PROTOCOL: who made it
	Other    string       `json:"other,omitempty"`    // selectors of other people's rules that Waymark never writes, as ip(8) text
	Rung     string       `json:"rung,omitempty"`     // what the rules with this selector are for; no part of the rule's identity
	Why      string       `json:"why,omitempty"`      // what this one does among them; no part of its identity either
}

// Key is the rule without its reasons: what the kernel holds of it.
func (r Rule) Key() Rule {
	r.Rung, r.Why = "", ""
	return r
}

// Args are the rule's words after "ip rule add", as ip(8) takes them.
func (r Rule) Args() string {
	words := []string{"priority", fmt.Sprint(r.Priority), "from", "all"}
	if r.From.IsValid() {
		words[3] = prefixText(r.From)
	}
	if r.Mask != 0 {
		words = append(words, "fwmark", fmt.Sprintf("%#x/%#x", r.Mark, r.Mask))
	}
	if r.Other != "" {
		words = append(words, r.Other)
	}
	if r.OIF != "" {
		words = append(words, "oif", r.OIF)
	}
	words = append(words, string(r.Action))
	if r.Action == Lookup {
		words = append(words, TableName(r.Table))
	}
	if r.Suppress {
		words = append(words, "suppress_prefixlength", "0")
	}
	return strings.Join(append(words, "protocol", fmt.Sprint(r.Protocol)), " ")
}

// String is the command that would add the rule.
func (r Rule) String() string {
	return fmt.Sprintf("ip %s rule add %s", r.Family.Option(), r.Args())
}

// TableName is a table's number, or the name of the kernel's own.
func TableName(t uint32) string {
	switch t {
	case TableDefault:
		return "default"
	case TableMain:
		return "main"
	case TableLocal:
		return "local"
	}
	return fmt.Sprint(t)
}

func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
