// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"waymark/internal/plan"
)

// reverseFindings are filters that drop, as a strict rp_filter does, what Waymark
// makes come in by an uplink that main's default route does not lead by.
func reverseFindings(h Host) (found []Finding) {
	for _, r := range h.strictRules() {
		var whys []string
		for _, u := range h.Uplinks {
			for _, family := range r.families {
				if why := h.droppedOf(u, family); why != "" {
					whys = append(whys, fmt.Sprintf("%s (%s, %s)", u, family, why))
				}
			}
		}
		if len(whys) == 0 {
			continue
		}
		f := Finding{Warning, r.what, r.owner, "it drops what comes in by an interface that main does not lead back by: " + strings.Join(whys, "; "),
			"have it ask for a way back by any interface (nft: `fib saddr oif`, without `iif`; iptables: `-m rpfilter --loose`; firewalld.conf: `IPv6_rpfilter=no`; NixOS: `checkReversePath = \"loose\"`)"}
		if r.remove != "" {
			f.Cure += ", or `" + r.remove + "`"
		}
		if h.Plan != nil {
			f.Severity = Serious
		}
		found = append(found, f)
	}
	return found
}

// droppedOf says what comes in by an uplink and has no way back in main; "": nothing.
func (h Host) droppedOf(uplink string, family plan.Family) string {
	if !h.leaves(uplink, family) || h.leadsBack(uplink, family) {
		return ""
	}
	if v := h.Facts.Sysctls[plan.ForwardingNames[family]]; v != "" && v != "0" {
		return "answers to what is forwarded"
	}
	if h.Plan != nil && slices.ContainsFunc(h.Plan.Uplinks, func(u plan.Uplink) bool { return u.Interface == uplink && u.Probes != 0 }) {
		return "answers to its probes, while it is withdrawn"
	}
	return ""
}

// leaves tells whether anything of a family leaves by an uplink.
func (h Host) leaves(uplink string, family plan.Family) bool {
	if h.Plan != nil {
		return slices.ContainsFunc(h.Plan.Uplinks, func(u plan.Uplink) bool { return u.Interface == uplink && u.Families[family] })
	}
	return slices.ContainsFunc(h.Facts.Routes, func(r plan.Route) bool { return r.Family == family && r.IsDefault() && r.LeadsBy(uplink) })
}

// leadsBack tells whether main leads back by an uplink: by a default route that it
// prefers, for the filter asks for the best way and sees whether it is that.
func (h Host) leadsBack(uplink string, family plan.Family) bool {
	defaults := slices.DeleteFunc(slices.Clone(h.Facts.Routes), func(r plan.Route) bool {
		return r.Family != family || r.Table != plan.TableMain || !r.IsDefault() || r.Down
	})
	if len(defaults) == 0 {
		return false
	}
	best := slices.MinFunc(defaults, func(a, b plan.Route) int { return cmp.Compare(a.Metric, b.Metric) }).Metric
	return slices.ContainsFunc(defaults, func(r plan.Route) bool { return r.Metric == best && r.LeadsBy(uplink) })
}
