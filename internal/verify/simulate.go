// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"waymark/classes"
	"waymark/internal/plan"
)

// Simulate holds a policy against the description of a host: whether it can
// be kept there, where a flow of each match goes, and where each class goes
// while uplinks are down. Errors are classes.Problems of what is wrong with
// the policy on that host.
func Simulate(policy *classes.Policy, h *Host) ([]Check, error) {
	p, err := plan.Make(policy, h.Facts, h.Numbers, plan.Options{CgroupRoot: h.CgroupRoot})
	if p == nil {
		return nil, err
	}
	if conflicts := (plan.Conflicts)(nil); err != nil && !errors.As(err, &conflicts) {
		return nil, err
	}
	checks := promises(p, h.Facts, err)
	for _, s := range Samples(p) {
		c, v := s.Resolve(p, h.Facts)
		if s.Lost == nil {
			c.Answer = way(v)
			for _, r := range v.Unsure {
				c.Answer += fmt.Sprintf(", unless %s takes it, which is not judged from here", r)
			}
		}
		checks = append(checks, c)
	}
	return append(checks, Failures(p, h.Facts)...), nil
}

// Resolve holds a sample against the rules and routes of a plan, with those of
// others among them, and says where they send it.
func (s Sample) Resolve(p *plan.Plan, facts plan.Facts) (Check, plan.Verdict) {
	line := p.Lines[s.Line]
	c := NewCheck(Simulation, s.Name(p))
	if s.Lost != nil && s.Lost.Text.Added() {
		c.Skipped = fmt.Sprintf("%s takes its flows: %s", s.Lost.Pos, s.Lost.Text)
		return c, plan.Verdict{}
	}
	if s.Lost != nil {
		c.Wrong = append(c.Wrong, fmt.Sprintf("%s takes this flow before it, %s, and every other that was tried", s.Lost.Pos, s.Lost.Text))
		return c, plan.Verdict{}
	}
	packet := plan.Packet{Family: s.Family, Dst: s.Flow.Dst, Mark: s.Mark(p), Forwarded: s.Flow.IIF != 0}
	if !s.Flow.Src.IsUnspecified() {
		packet.Src = s.Flow.Src
	}
	v := p.Resolve(facts, packet)
	if !ownSource(p, packet) {
		c.Wrong = append(c.Wrong, IntentOf(p, line.Class, s.Family).judge(p, v)...)
	}
	return c, v
}

// ownSource tells whether a packet has the address of an uplink, by which it
// leaves whatever its class.
func ownSource(p *plan.Plan, q plan.Packet) bool {
	return q.Src.IsValid() && slices.ContainsFunc(p.Uplinks, func(u plan.Uplink) bool {
		return slices.ContainsFunc(u.Addresses, func(a netip.Prefix) bool { return a.Addr() == q.Src })
	})
}

// Mark is what the flow's socket should carry: 0 for unclassed.
func (s Sample) Mark(p *plan.Plan) uint32 {
	return p.ClassMark(p.Lines[s.Line].Class)
}

// Name says which line and family it is of.
func (s Sample) Name(p *plan.Plan) string {
	line := p.Lines[s.Line]
	return fmt.Sprintf("%s, class %s, %s, %s", line.Pos, p.ClassName(line.Class), line.Text, s.Family)
}
