// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"

	"waymark/internal/plan"
)

// Down is a plan as the kernel keeps it when the links of some uplinks are
// gone and nobody makes another: the routes by them count no more.
func Down(p *plan.Plan, uplinks ...string) *plan.Plan {
	q := *p
	q.Uplinks = slices.Clone(p.Uplinks)
	for k := range q.Uplinks {
		if slices.Contains(uplinks, q.Uplinks[k].Name) {
			q.Uplinks[k].Up = false
		}
	}
	return &q
}

// Cases are the failures that a plan is tried with: each uplink, and, of
// several, all of them.
func Cases(p *plan.Plan) (cases [][]string) {
	var all []string
	for _, u := range p.Uplinks {
		if u.Up {
			cases, all = append(cases, []string{u.Name}), append(all, u.Name)
		}
	}
	if len(all) > 1 {
		cases = append(cases, all)
	}
	return cases
}

// CaseName is a failure in words.
func CaseName(down []string) string {
	if len(down) == 0 {
		return "all up"
	}
	return strings.Join(down, ", ") + " down"
}

// Failures checks what rules and routes, those of others among them, do with
// every class when uplinks are down.
func Failures(p *plan.Plan, facts plan.Facts) (checks []Check) {
	for _, down := range Cases(p) {
		q := Down(p, down...)
		for n, class := range q.Classes {
			for _, family := range plan.Families {
				i := IntentOf(q, n, family)
				v := q.Resolve(facts, plan.Packet{Family: family, Mark: class.Mark})
				c := NewCheck(Failure, fmt.Sprintf("%s: class %s, %s", CaseName(down), class.Name, family), i.judge(q, v)...)
				c.Answer = way(v)
				checks = append(checks, c)
			}
		}
	}
	return checks
}
