// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"math"
	"slices"

	"waymark/classes"
	"waymark/internal/match"
)

// Options are what the command line adds to a policy.
type Options struct {
	CgroupRoot string     // absolute path of the directory that cgroup paths start from
	Overrides  []Override // earlier first; they come before the policy's own moves
}

// Make is the plan for a policy on a host. before is what the host
// remembers of its last plan, zero on the first. The error is
// classes.Problems for what is wrong with the policy here (an unknown user,
// more uplinks than there is room for), Conflicts for what belongs to
// somebody else, or a plain error. The plan is there beside Conflicts, so
// that it can be shown.
func Make(policy *classes.Policy, facts Facts, before Numbers, options Options) (*Plan, error) {
	m := &maker{policy: policy, facts: facts, last: before, before: before.under(policy), waiting: map[string]bool{}}
	m.plan = emptyPlan(Mask(policy.Mark.Mask))
	m.plan.Numbers = m.before.clone(policy.Tables.Base)
	if err := m.lines(options.Overrides); err != nil {
		return nil, err
	}
	m.uplinks()
	if err := m.number(); err != nil {
		return nil, err
	}
	m.tables()
	m.forgetTables()
	if err := m.ladder(); err != nil {
		return nil, err
	}
	m.snat()
	m.sysctls()
	m.plan.Off = policy.Telemetry.Off
	m.hooks(options)
	if err := m.wholeMarks(); err != nil {
		return nil, err
	}
	m.inside()
	m.notes()
	return m.plan, m.conflicts()
}

// emptyPlan is a plan whose lists exist, as those who read its JSON expect.
func emptyPlan(mask Mask) *Plan {
	return &Plan{Mask: mask, Main: -1,
		Uplinks: []Uplink{}, Classes: []Class{}, Lines: []Line{}, Blocks: []Block{}, Rules: []Rule{}, Routes: []Route{},
		SNAT: []SNAT{}, Answers: []Answer{}, Sysctls: []Sysctl{}, Hooks: []Hook{}, Waiting: []string{}, Notes: []string{}}
}

// maker makes one plan.
type maker struct {
	policy *classes.Policy
	facts  Facts
	last   Numbers // as the host remembers them
	before Numbers // what of them holds under the policy
	plan   *Plan

	room     []match.Range   // of the lines' short lists
	waiting  map[string]bool // what plan.Waiting says already
	lastSlot uint32          // the highest that a class has; 0 before the first look
	cramped  []string        // uplinks whose answers the mask has no number for
}

// lines turns every match's names into numbers.
func (m *maker) lines(overrides []Override) error {
	problems := m.limits()
	count := 0
	for _, c := range m.policy.Classes {
		count += len(c.Matches)
	}
	m.plan.Lines = make([]Line, 0, count)
	m.places()
	for i := range m.policy.Classes {
		c := &m.policy.Classes[i]
		for k := range c.Matches {
			source := &c.Matches[k]
			m.plan.Lines = append(m.plan.Lines, Line{Class: i, Text: Words{match: source}, Pos: source.Pos,
				Match: m.match(source, &problems), Containers: m.named(source)})
		}
	}
	err := m.override(overrides, &problems)
	if len(problems) > 0 {
		return problems
	}
	return err
}

func (m *maker) match(source *classes.Match, problems *classes.Problems) match.Match {
	out := match.Match{Src: source.Src, Dst: source.Dst}
	for _, u := range source.UID {
		out.UID = append(out.UID, m.users(u, problems))
	}
	for _, path := range source.Cgroup {
		out.Cgroup = append(out.Cgroup, match.Cgroup{Path: path})
	}
	for _, u := range source.Unit {
		out.Cgroup = append(out.Cgroup, m.unit(u, problems))
	}
	for _, c := range source.Container {
		out.Cgroup = append(out.Cgroup, m.containers(c)...)
	}
	out.Proto = inRoom(&m.room, source.Proto, func(p uint8) match.Range { return match.Range{Lo: uint32(p), Hi: uint32(p)} })
	out.Sport, out.Dport = inRoom(&m.room, source.Sport, portRange), inRoom(&m.room, source.Dport, portRange)
	for _, name := range source.IIF {
		index := uint32(math.MaxUint32) // no interface: nothing comes in by it
		if link, ok := m.facts.Links[name]; ok {
			index = uint32(link.Index)
		} else {
			m.wait("interface %s does not exist yet: the matches on `iif: %s` take nothing", name, name)
		}
		out.IIF = append(out.IIF, match.Range{Lo: index, Hi: index})
	}
	return out
}

func (m *maker) users(u classes.User, problems *classes.Problems) match.Range {
	if u.Name == "" {
		return match.Range{Lo: u.Lo, Hi: u.Hi}
	}
	uid, ok := m.facts.Users[u.Name]
	if !ok {
		*problems = append(*problems, m.policy.Problem(u.Pos, fmt.Sprintf("user %q does not exist on this host", u.Name),
			"create the user first, or write its uid"))
	}
	if slices.Contains(m.facts.Gone, u.Name) {
		m.wait("user %q does not exist on this host now: it is taken to have the uid that it had, %d", u.Name, uid)
	}
	return match.Range{Lo: uid, Hi: uid}
}

// unit is where the system's manager puts a unit's cgroup, or a user's does.
func (m *maker) unit(u classes.Unit, problems *classes.Problems) match.Cgroup {
	if u.User == nil {
		return match.Cgroup{Unit: u.Name}
	}
	uid := m.users(*u.User, problems).Lo
	return match.Cgroup{Path: fmt.Sprintf("user.slice/user-%d.slice/user@%d.service", uid, uid), Unit: u.Name}
}

// Check reports what is wrong with a policy on a host that has these users,
// as classes.Problems.
func Check(policy *classes.Policy, users map[string]uint32) error {
	m := &maker{policy: policy, facts: Facts{Users: users}, plan: &Plan{}, waiting: map[string]bool{}}
	return m.lines(nil)
}

func portRange(r classes.PortRange) match.Range {
	return match.Range{Lo: uint32(r.Lo), Hi: uint32(r.Hi)}
}

// mostRoom is for how many ranges room is made at a time.
const mostRoom = 4096

// inRoom makes ranges of values. They lie side by side: there are hundreds of
// thousands of lists, nearly all of one value.
func inRoom[T any](room *[]match.Range, values []T, of func(T) match.Range) []match.Range {
	if len(values) == 0 {
		return nil
	}
	if cap(*room)-len(*room) < len(values) {
		*room = make([]match.Range, 0, max(len(values), min(2*cap(*room), mostRoom), 8))
	}
	from := len(*room)
	for _, v := range values {
		*room = append(*room, of(v))
	}
	return (*room)[from:len(*room):len(*room)]
}

func (m *maker) wait(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !m.waiting[s] {
		m.waiting[s] = true
		m.plan.Waiting = append(m.plan.Waiting, s)
	}
}
