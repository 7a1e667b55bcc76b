// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"fmt"
	"net/netip"
	"net/url"

	"golang.org/x/sys/unix"

	"waymark/classes"
	"waymark/internal/match"
	"waymark/internal/plan"
	"waymark/internal/verify"
)

// Targets are where connections of a policy's classes may be made: what its
// probes ask by TCP.
func Targets(policy *classes.Policy) (targets []netip.AddrPort) {
	for _, u := range policy.Uplinks {
		if u.Probe == nil {
			continue
		}
		targets = append(targets, u.Probe.TCP...)
		for _, text := range u.Probe.HTTP {
			if a, err := httpTarget(text); err == nil {
				targets = append(targets, a)
			}
		}
	}
	return targets
}

func httpTarget(text string) (netip.AddrPort, error) {
	u, err := url.Parse(text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil || u.Port() == "" {
		return netip.AddrPortFrom(a, 80), err
	}
	return netip.ParseAddrPort(u.Host)
}

// attempt is a connection that stands for a class in a family.
type attempt struct {
	class  int
	family plan.Family
	line   int
	flow   match.Flow // without the cgroup's part that is made for it
}

// attemptTo finds the first line of a class that one of the targets is of; why
// says what is missing where there is none.
func (v *view) attemptTo(class int, family plan.Family, targets []netip.AddrPort) (a attempt, why string) {
	why = fmt.Sprintf("there is no %s target", family)
	for _, to := range targets {
		if plan.FamilyOf(to.Addr()) != family {
			continue
		}
		why = "no target is one that a match of its takes, and no class before it: give it one with --target ADDRESS:PORT"
		for n, line := range v.Plan.Lines {
			if line.Class != class {
				continue
			}
			if flow, ok := v.flowTo(n, family, to); ok {
				return attempt{class, family, n, flow}, ""
			}
		}
	}
	return a, why
}

// flowTo is a flow to a target that a line wins.
func (v *view) flowTo(n int, family plan.Family, to netip.AddrPort) (match.Flow, bool) {
	m := v.lines[n]
	if m.IIF != nil {
		return match.Flow{}, false
	}
	for _, proto := range []uint32{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		for _, flow := range verify.FlowsOf(m, family) {
			flow.Proto, flow.Dst, flow.Dport = proto, to.Addr(), uint32(to.Port())
			if _, holds := match.First(v.lines[n:n+1], flow); holds && v.possible(flow) && v.wins(n, flow) {
				return flow, true
			}
		}
	}
	return match.Flow{}, false
}
