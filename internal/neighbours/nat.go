// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"waymark/internal/filters"
)

// natFindings are uplinks that forwarded packets leave by with the source
// that they came with, while they get another on one of the others.
func natFindings(h Host) (found []Finding) {
	if h.Facts.Sysctls["net/ipv4/ip_forward"] != "1" || len(h.Uplinks) < 2 {
		return nil
	}
	translated := h.translated()
	if len(translated) == 0 {
		return nil
	}
	if h.Plan != nil {
		for _, s := range h.Plan.SNAT {
			translated[s.Interface] = true
		}
	}
	for _, u := range h.Uplinks {
		if !translated[u] {
			found = append(found, Finding{Warning, fmt.Sprintf("packets that are forwarded out of %s keep their source, those out of other uplinks do not", u), "",
				"the far side cannot answer a private source, so that a forwarded class that moves there falls silent", fmt.Sprintf("say `snat: true` of that uplink in the policy, or `iptables -t nat -A POSTROUTING -o %s -j MASQUERADE`", u)})
		}
	}
	return found
}

// translated are the uplinks out of which others rewrite sources.
func (h Host) translated() map[string]bool {
	out := map[string]bool{}
	for _, r := range h.nftRules() {
		var names []string
		nat, not := false, false
		for _, x := range r.Expr {
			some, but := outInterfaces(x)
			names, not = append(names, some...), not || but
			for _, s := range []string{"masquerade", "snat"} {
				_, is := x[s]
				nat = nat || is
			}
		}
		if nat && !limited(r, "daddr", "==") && (!not || !limited(r, "saddr", "")) {
			h.addUplinks(out, names, not)
		}
	}
	h.eachIptables(func(_, table, _ string, words []string) {
		if k := slices.Index(words, "-j"); table == "nat" && k >= 0 && k+1 < len(words) && (words[k+1] == "MASQUERADE" || words[k+1] == "SNAT") {
			var names []string
			if k := slices.Index(words, "-o"); k >= 0 && k+1 < len(words) {
				names = []string{words[k+1]}
			}
			k = slices.Index(words, "-o")
			switch not := slices.Index(words, "!"); {
			case not < 0 && !slices.Contains(words, "-d"):
				h.addUplinks(out, names, false)
			case not+1 == k && !slices.Contains(words, "-s"):
				h.addUplinks(out, names, true)
			}
		}
	})
	return out
}

// addUplinks adds the uplinks that have one of the names, or none of them; no name
// is any. One may end in the sign for all that begin so, of iptables or of nft.
func (h Host) addUplinks(out map[string]bool, names []string, but bool) {
	for _, u := range h.Uplinks {
		named := names == nil || slices.ContainsFunc(names, func(n string) bool {
			begin := strings.TrimRight(n, "+*")
			return n == u || n != begin && strings.HasPrefix(u, begin)
		})
		if named != but {
			out[u] = true
		}
	}
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
