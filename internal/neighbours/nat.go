// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"net/netip"
	"slices"
)

// natFindings are uplinks that forwarded packets leave by with the source
// that they came with, while they get another on one of the others; and those by
// which packets leave with the address of another one.
func natFindings(h Host) []Finding {
	if len(h.Uplinks) < 2 {
		return nil
	}
	all := h.translations()
	found := h.lent(all)
	translated := map[string]bool{}
	for _, u := range h.Uplinks {
		if slices.ContainsFunc(all, func(t translation) bool { return t.takes(u) }) {
			translated[u] = true
		}
	}
	if h.Facts.Sysctls["net/ipv4/ip_forward"] != "1" || len(translated) == 0 {
		return found
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

// lent are rules that give what leaves by one uplink the address of another, as one
// does that names no interface since there was only one.
func (h Host) lent(all []translation) (found []Finding) {
	for _, t := range all {
		k := slices.IndexFunc(h.Uplinks, func(u string) bool {
			return slices.ContainsFunc(h.Facts.Links[u].Addresses, func(a netip.Prefix) bool { return a.Addr() == t.to })
		})
		for _, u := range h.Uplinks {
			if k >= 0 && u != h.Uplinks[k] && t.takes(u) {
				found = append(found, Finding{Warning, fmt.Sprintf("%s gives what leaves by %s the address of %s", t.rule, u, h.Uplinks[k]), "",
					"answers come in by the other uplink, if anybody lets such a source out: what it takes of a class that moves there falls silent",
					fmt.Sprintf("have it take what leaves by %[1]s alone (iptables: `-o %[1]s`, nft: `oifname %[1]s`), or `%s`; for the others say `snat: true` in the policy", h.Uplinks[k], t.remove)})
			}
		}
	}
	return found
}
