// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"

	"waymark/internal/plan"
)

// Structures checks what a kernel holds of a plan: what it differs in, what
// of others is before it, and what the plan waits for. conflict is a
// plan.Conflicts, or nil.
func Structures(p *plan.Plan, facts plan.Facts, changes plan.Changes, conflict error) []Check {
	rules := append(texts(changes.AddRules, "there is no "), texts(changes.DeleteRules, "one too many: ")...)
	if changes.Table {
		rules = append(rules, "the nftables table is another")
	}
	routes := append(texts(changes.AddRoutes, "there is no "), texts(changes.DeleteRoutes, "one too many: ")...)
	var sysctls, hooks, maps []string
	for _, s := range slices.Concat(changes.SetSysctls, changes.GiveBack) {
		sysctls = append(sysctls, fmt.Sprintf("%s is not %s", s.Name, s.Value))
	}
	for _, h := range changes.Attach {
		hooks = append(hooks, fmt.Sprintf("%s is not attached to %s", h.Program, h.Place))
	}
	for _, h := range changes.Detach {
		hooks = append(hooks, fmt.Sprintf("one too many: %s at %s", h.Program, h.Place))
	}
	if changes.Classes {
		maps = []string{"the classes, matches or uplinks in the BPF maps are not the plan's"}
	}
	checks := promises(p, facts, conflict)
	for _, c := range []Check{NewCheck(Structure, "rules", rules...), NewCheck(Structure, "routes", routes...),
		NewCheck(Structure, "sysctls", sysctls...), NewCheck(Structure, "programs", hooks...), NewCheck(Structure, "maps", maps...)} {
		if c.drift = true; len(c.Wrong) > 0 {
			c.Wrong = append(c.Wrong, "`waymark apply` brings it back; `waymark run` keeps it there")
		}
		checks = append(checks, c)
	}
	return checks
}

// promises checks whether a plan can be kept on a host.
func promises(p *plan.Plan, facts plan.Facts, conflict error) []Check {
	var others []string
	if conflict != nil {
		others = []string{conflict.Error()}
	}
	return []Check{
		NewCheck(Structure, "nobody else has what the policy needs", others...),
		NewCheck(Structure, "no rule of others comes first", p.Covers(facts)...),
		NewCheck(Structure, "waiting for nothing", p.Waiting...),
	}
}

func texts[T fmt.Stringer](list []T, before string) (out []string) {
	for _, x := range list {
		out = append(out, before+x.String())
	}
	return out
}
