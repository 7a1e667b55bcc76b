// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
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
	m.vrfNotes(note)
	m.maskNotes(note)
	m.sharedNotes(note)
	m.spreadNotes(note)
	if len(m.cramped) > 0 {
		note("answers to what is forwarded in by %s go by their sender's class, or by main: the mask %s has no number left for them: widen `mark: {mask: ...}`, or say `symmetric: false`", strings.Join(m.cramped, ", "), m.plan.Mask)
	}
	if !m.facts.Arms && m.plan.NamesCgroups() {
		note("this kernel has no tracepoint at which cgroups are armed as they are made: run the agent, which hears of them a moment later, or `waymark apply` again when one of the policy's is made")
	}
}

// sharedNotes are about addresses that several uplinks have.
func (m *maker) sharedNotes(note func(string, ...any)) {
	told := map[netip.Addr]bool{}
	for _, u := range m.plan.Uplinks {
		for _, a := range u.Addresses {
			holders := m.holders(a.Addr())
			if len(holders) < 2 || told[a.Addr()] {
				continue
			}
			told[a.Addr()] = true
			note("uplinks %s have the same address %s: what is in a class leaves by its route, and all else from there by main, answers to what came in by another uplink too; give one of them another address", strings.Join(holders, " and "), a.Addr())
		}
	}
}

// vrfNotes are about routing domains other than the host's own.
func (m *maker) vrfNotes(note func(string, ...any)) {
	for _, r := range m.foreignRules() {
		if r.Action == lookupVRF && slices.ContainsFunc(m.plan.Rules, func(ours Rule) bool { return ours.Family == r.Family && ours.Priority < r.Priority }) {
			note("a class's sockets that are bound to a VRF leave it by the class's route: the %s rule for VRFs has priority %d, and ours begin before it; begin behind it with `rules: {base: %d}`", r.Family, r.Priority, freePriorities(m.facts))
		}
	}
	for _, u := range m.plan.Uplinks {
		var deaf []string
		for _, name := range acceptsAcross {
			if m.facts.Sysctls[name] == "0" {
				deaf = append(deaf, strings.ReplaceAll(name, "/", ".")+"=1")
			}
		}
		if u.VRF.Name != "" && deaf != nil {
			note("uplink %s: %s is in VRF %s: what comes in by it reaches no socket that is not bound to %s; `sysctl %s` lets it", u.Name, u.Interface, u.VRF.Name, u.VRF.Name, strings.Join(deaf, " "))
		}
	}
}
