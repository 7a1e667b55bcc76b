// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"waymark/classes"
)

// hashPolicies say, for each family, what of a packet chooses among the hops of a
// route: 0 its addresses, 1 also its ports, 2 what is inside of a tunnel's, 3 what
// another sysctl says.
var hashPolicies = []string{HashPolicy, "net/ipv6/fib_multipath_hash_policy"}

// HashPolicy is the sysctl that says so for IPv4.
const HashPolicy = "net/ipv4/fib_multipath_hash_policy"

// balances tells whether a class has a weighted route.
func (m *maker) balances() bool {
	return slices.ContainsFunc(m.plan.Classes, func(c Class) bool { return c.Route.Weights != nil })
}

// spread has the flows of a balance spread over its uplinks, unless the host's
// administrator has chosen something else than the kernel's default.
func (m *maker) spread() {
	if m.policy.Balance.By != classes.SpreadFlow || !m.balances() {
		return
	}
	for _, name := range hashPolicies {
		if m.facts.Sysctls[name] == "0" || slices.Contains(m.facts.Changed, name) {
			m.sysctl(name, "1", "flows of a balance are spread by their ports, too: by addresses alone, all that goes from one to another goes one way")
		}
	}
}

// spreadNotes are about a host that spreads the flows of a balance by something
// else than the policy says.
func (m *maker) spreadNotes(note func(string, ...any)) {
	if !m.balances() {
		return
	}
	for _, name := range hashPolicies {
		value, dotted := m.facts.Sysctls[name], strings.ReplaceAll(name, "/", ".")
		switch by := m.policy.Balance.By; {
		case slices.Contains(m.facts.Changed, name):
		case by == classes.SpreadFlow && value == "2":
			note("flows of a balance are not spread by their ports: %s is %s, somebody's choice; `sysctl %s=1` spreads them", dotted, value, dotted)
		case by == classes.SpreadAddresses && (value == "1" || value == "3"):
			note("flows of a balance are not held together by their addresses: %s is %s, somebody's choice; `sysctl %s=0` holds them", dotted, value, dotted)
		}
	}
}
