// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"slices"

	"waymark/internal/plan"
)

// routeFindings are routes that make main know more than it should.
func routeFindings(h Host) (found []Finding) {
	for _, family := range plan.Families {
		found = append(found, h.refusingFindings(family)...)
		if half, both := plan.HalfDefault(h.Facts, family); both && (h.Plan == nil || h.Plan.AsksMain(family)) {
			found = append(found, Finding{Serious, fmt.Sprintf("main has two half default routes, %s and another, by %s", half.Dst, half.Hops[0].Interface), "OpenVPN's redirect-gateway def1, or its like",
				"main knows every address by more than its default, so that it answers for every class before the class's own table", "have the tunnel set a plain default route, and not def1; or say `strict: true` in every class and uplink"})
		}
	}
	return found
}

// refusingFindings are default routes of main that refuse, for want of a better
// one: the rule that asks main for what it knows by more than its default holds
// back one that leads somewhere, and no other.
func (h Host) refusingFindings(family plan.Family) (found []Finding) {
	for _, r := range h.Facts.Routes {
		if r.Family != family || r.Table != plan.TableMain || !r.IsDefault() || r.Refuses == "" || r.Refuses == plan.Throw {
			continue
		}
		f := Finding{Warning, "main has a default route that refuses: " + r.Args(), "",
			"when main has no better one, for its uplink is down, that route refuses all classes, too, whatever their uplinks: rules that ask main for all but its default do not hold it back",
			fmt.Sprintf("`ip %s route del %s && ip %[1]s rule add priority 32767 %[3]s`, which refuses behind main; or say `strict: true` in every class", family.Option(), r.Args(), r.Refuses)}
		if !slices.ContainsFunc(h.Facts.Routes, func(o plan.Route) bool {
			return o.Family == family && o.Table == plan.TableMain && o.IsDefault() && o.Refuses == "" && !o.Down && o.Metric <= r.Metric
		}) {
			f.Severity = Serious
		}
		found = append(found, f)
	}
	return found
}
