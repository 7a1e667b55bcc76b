// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
)

// notes says what the policy asks for that an apply does not do, each with
// what its user can do instead.
func (m *maker) notes() {
	note := func(format string, args ...any) { m.plan.Notes = append(m.plan.Notes, fmt.Sprintf(format, args...)) }
	for _, u := range m.policy.Uplinks {
		if u.SNAT {
			note("uplink %s: `snat: true` is not carried out: run `nft add rule ip nat postrouting oifname %s masquerade` in a table of yours", u.Name, u.Interface)
		}
	}
	if named := func(l Line) bool { return l.Match.Cgroup != nil }; !m.facts.Arms && slices.ContainsFunc(m.plan.Lines, named) {
		note("this kernel has no tracepoint at which cgroups are armed as they are made: run `waymark apply` again when one of the policy's is")
	}
}
