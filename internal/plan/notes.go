// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
)

// notes says what the policy asks for that an apply does not do, and what
// this host keeps it from, each with what its user can do instead.
func (m *maker) notes() {
	note := func(format string, args ...any) { m.plan.Notes = append(m.plan.Notes, fmt.Sprintf(format, args...)) }
	var silent []string
	for _, f := range Families {
		if m.facts.Silent[f] {
			silent = append(silent, f.String())
		}
	}
	if silent != nil {
		note("misroutes are counted and not repaired for %s: this kernel's bpf_fib_lookup cannot be asked for the way of a class; Linux 6.10 can", strings.Join(silent, " and "))
	}
	if m.facts.Advertised && !m.facts.Silent[IPv6] {
		note("misroutes are counted and not repaired for IPv6: the kernel would drop its default routes from router advertisements if it were allowed to be asked; a static default route makes it possible")
	}
	if named := func(l Line) bool { return l.Match.Cgroup != nil }; !m.facts.Arms && slices.ContainsFunc(m.plan.Lines, named) {
		note("this kernel has no tracepoint at which cgroups are armed as they are made: run `waymark apply` again when one of the policy's is")
	}
}
