// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"waymark/internal/filters"
)

// translation is a rule of others that rewrites sources.
type translation struct {
	names        []string   // the interfaces that packets leave by; nil: any
	but          bool       // all others are meant
	to           netip.Addr // the first address that it gives; zero: the interface's own
	rule, remove string
}

// translations are the rules that rewrite sources of more than some destinations, or
// than a bridge's.
func (h Host) translations() (all []translation) {
	for _, r := range h.nftRules() {
		t, nat := translation{rule: nftRule(r), remove: nftRemoval(r)}, false
		for _, x := range r.Expr {
			some, but := outInterfaces(x)
			t.names, t.but = append(t.names, some...), t.but || but
			_, masquerade := x["masquerade"]
			snat, is := x["snat"].(map[string]any)
			if nat = nat || masquerade || is; is {
				t.to = firstAddress(snat["addr"])
			}
		}
		if nat && !limited(r, "daddr", "==") && (!t.but || !limited(r, "saddr", "")) {
			all = append(all, t)
		}
	}
	h.eachIptables(func(command, table, line string, words []string) {
		t := translation{rule: iptablesRule(command, table, line), remove: iptablesRemoval(command, table, words)}
		after := func(option string) string {
			if k := slices.Index(words, option); k >= 0 && k+1 < len(words) {
				return words[k+1]
			}
			return ""
		}
		if jump := after("-j"); table != "nat" || jump != "MASQUERADE" && jump != "SNAT" {
			return
		}
		if name := after("-o"); name != "" {
			t.names = []string{name}
		}
		t.to = firstAddress(after("--to-source"))
		not := slices.Index(words, "!")
		t.but = not >= 0 && not+1 == slices.Index(words, "-o")
		if not < 0 && !slices.Contains(words, "-d") || t.but && !slices.Contains(words, "-s") {
			all = append(all, t)
		}
	})
	return all
}

// firstAddress is that of one, or of a range, perhaps with ports, as iptables and nft
// write them.
func firstAddress(written any) netip.Addr {
	if of, is := written.(map[string]any); is {
		if ends, is := of["range"].([]any); is && len(ends) > 0 {
			written = ends[0]
		}
	}
	text, _ := written.(string)
	text, _, _ = strings.Cut(text, "-")
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.Addr()
	}
	a, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return a
}

// takes tells whether it takes what leaves by an interface. A name may end in the
// sign for all that begin so, of iptables or of nft.
func (t translation) takes(u string) bool {
	named := t.names == nil || slices.ContainsFunc(t.names, func(n string) bool {
		begin := strings.TrimRight(n, "+*")
		return n == u || n != begin && strings.HasPrefix(u, begin)
	})
	return named != t.but
}

// limited tells whether a rule of nftables is for some addresses only: sources, as
// Docker's for its networks, or destinations, as for a container that asks itself.
func limited(r filters.Rule, field, op string) bool {
	return slices.ContainsFunc(r.Expr, func(x map[string]any) bool {
		m, _ := x["match"].(map[string]any)
		text, _ := json.Marshal(m["left"])
		return (op == "" || m["op"] == op) && strings.Contains(string(text), `"field":"`+field+`"`)
	})
}

// outInterfaces are those that a match of nft's names; not says that it takes all
// others.
func outInterfaces(x map[string]any) (names []string, not bool) {
	m, ok := x["match"].(map[string]any)
	if !ok {
		return nil, false
	}
	not = m["op"] == "!="
	left, _ := m["left"].(map[string]any)
	meta, _ := left["meta"].(map[string]any)
	if meta["key"] != "oifname" && meta["key"] != "oif" {
		return nil, false
	}
	switch right := m["right"].(type) {
	case string:
		return []string{right}, not
	case map[string]any:
		set, _ := right["set"].([]any)
		for _, element := range set {
			if name, ok := element.(string); ok {
				names = append(names, name)
			}
		}
	}
	return names, not
}
