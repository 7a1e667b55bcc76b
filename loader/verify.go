// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"io/fs"
	"net/netip"

	"waymark/classes"
	"waymark/internal/match"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
)

// Check is one thing that Verify looked at.
type Check struct {
	Group  string   `json:"group"` // "structure" or "simulation"
	Name   string   `json:"name"`
	Wrong  []string `json:"wrong"`            // what is, in sentences; none: it passed
	Answer string   `json:"answer,omitempty"` // what was found
}

// elsewhere are destinations that only a default route leads to (RFC 5737,
// RFC 3849), for matches that name none.
var elsewhere = map[plan.Family]netip.Addr{
	plan.IPv4: netip.MustParseAddr("192.0.2.254"),
	plan.IPv6: netip.MustParseAddr("2001:db8:ffff::254"),
}

// mostSimulated is about how many matches are simulated; of more, every n-th.
const mostSimulated = 1000

// Verify holds the kernel against a policy: that it has all of the plan and
// nobody's rules before it, and, for every match in both families, that the
// match wins a flow of its own and the kernel's route for its class is by the
// first uplink that is up. Nothing is changed and nothing sent.
func (l *Loader) Verify(policy *classes.Policy) ([]Check, error) {
	w, err := l.survey(wanted{policy: policy})
	if err != nil {
		return nil, err
	}
	defer w.close()
	if w.state == nil {
		return nil, fmt.Errorf("verify: nothing is applied: run `waymark apply` first: %w", fs.ErrNotExist)
	}
	checks := w.structure()
	step := max(1, len(w.plan.Lines)/mostSimulated)
	for n := 0; n < len(w.plan.Lines); n += step {
		for _, family := range plan.Families {
			c, asked, err := l.simulate(w, n, family)
			if err != nil {
				return nil, err
			}
			if asked {
				checks = append(checks, c)
			}
		}
	}
	return checks, nil
}

// structure checks what the kernel holds.
func (w *survey) structure() []Check {
	check := func(name string, wrong ...string) Check {
		return Check{Group: "structure", Name: name, Wrong: append([]string{}, wrong...)}
	}
	d := w.changes
	var conflict []string
	if w.conflict != nil {
		conflict = []string{w.conflict.Error()}
	}
	rules := texts(d.AddRules, "there is no ")
	rules = append(rules, texts(d.DeleteRules, "one too many: ")...)
	routes := texts(d.AddRoutes, "there is no ")
	routes = append(routes, texts(d.DeleteRoutes, "one too many: ")...)
	var hooks, sysctls, maps []string
	for _, h := range d.Attach {
		hooks = append(hooks, fmt.Sprintf("%s is not attached to %s", h.Program, h.Place))
	}
	for _, s := range d.SetSysctls {
		sysctls = append(sysctls, fmt.Sprintf("%s is not %s", s.Name, s.Value))
	}
	if d.Classes {
		maps = []string{"the classes and matches in the BPF maps are another policy's"}
	}
	if d.SNAT {
		rules = append(rules, "the nftables table is another")
	}
	return []Check{
		check("nobody else has what the policy needs", conflict...),
		check("no rule of others comes first", w.plan.Covers(w.facts)...),
		check("rules", rules...), check("routes", routes...), check("sysctls", sysctls...),
		check("programs", hooks...), check("maps", maps...), check("waiting for nothing", w.plan.Waiting...),
	}
}

func texts[T fmt.Stringer](list []T, before string) (out []string) {
	for _, x := range list {
		out = append(out, before+x.String())
	}
	return out
}

// simulate asks for a flow that a line takes. A line that no flow of the
// family can be made for is not asked about.
func (l *Loader) simulate(w *survey, n int, family plan.Family) (c Check, asked bool, err error) {
	line := w.plan.Lines[n]
	flow, ok := sample(line.Match, family)
	if !ok {
		return c, false, nil
	}
	name, mark := Unclassed, uint32(0)
	if line.Class != plan.NoClass {
		name, mark = w.plan.Classes[line.Class].Name, w.plan.Classes[line.Class].Mark
	}
	c = Check{Group: "simulation", Name: fmt.Sprintf("%s, class %s, %s, %s", line.Pos, name, line.Text, family), Wrong: []string{}}
	if winner := w.plan.Winner(flow); winner != nil && winner.Class != line.Class {
		c.Wrong = append(c.Wrong, fmt.Sprintf("%s takes this flow before it, %s", winner.Pos, winner.Text))
		return c, true, nil
	}
	q := rpdb.Query{Dst: flow.Dst, Mark: mark, Proto: uint8(flow.Proto), Sport: uint16(flow.Sport), Dport: uint16(flow.Dport)}
	answer, err := l.rules.Lookup(q)
	if err != nil {
		return c, true, err
	}
	c.Answer = way(answer)
	verdict := w.plan.Resolve(w.facts, plan.Packet{Family: family, Dst: flow.Dst, Mark: mark})
	if r := verdict.Rule; mark != 0 && r.Protocol != plan.Protocol && r.Priority < lastOfOurs(w.plan, family) {
		c.Wrong = append(c.Wrong, fmt.Sprintf("a rule of others takes it: %s", r))
	}
	c.Wrong = append(c.Wrong, differences(verdict, answer)...)
	return c, true, nil
}

// lastOfOurs is the priority of the plan's last rule of a family.
func lastOfOurs(p *plan.Plan, family plan.Family) (last uint32) {
	for _, r := range p.Rules {
		if r.Family == family {
			last = max(last, r.Priority)
		}
	}
	return last
}

func way(a rpdb.Answer) string {
	if a.Err != "" {
		return a.Err
	}
	return fmt.Sprintf("%s dev %s from %s, table %s", text(a.Gateway), a.Interface, a.Source, plan.TableName(a.Table))
}

// sample is a flow that a match takes, made on this host; there is none for a
// match of another family, or of forwarded packets.
func sample(m match.Match, family plan.Family) (f match.Flow, ok bool) {
	if m.IIF != nil || m.Src != nil {
		return f, false
	}
	first := func(ranges []match.Range) uint32 {
		if len(ranges) == 0 {
			return 0
		}
		return ranges[0].Lo
	}
	f = match.Flow{UID: first(m.UID), Proto: first(m.Proto), Sport: first(m.Sport), Dport: first(m.Dport),
		Dst: elsewhere[family], Src: netip.IPv6Unspecified()}
	if family == plan.IPv4 {
		f.Src = netip.IPv4Unspecified()
	}
	if m.UID == nil {
		f.UID = 1<<31 - 7 // nobody's that a match would name
	}
	if len(m.Cgroup) > 0 {
		f.Cgroup = m.Cgroup[0].Path
	}
	if m.Dst != nil {
		ok := false
		for _, p := range m.Dst {
			if plan.FamilyOf(p.Addr()) == family && !ok {
				f.Dst, ok = p.Addr(), true
			}
		}
		return f, ok
	}
	return f, true
}
