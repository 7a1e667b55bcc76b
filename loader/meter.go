// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"io/fs"
	"slices"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// Meter reads what is counted, again and again, without looking at the rest
// of the host each time. It is for one goroutine.
type Meter struct {
	loader  *Loader
	version uint64 // datapath.StateVersion of what the rest was made from
	state   *State
	plan    *plan.Plan
	counts  *datapath.Instance
	reader  *datapath.Reader
	flows   openFlows
	lines   []LineSample // as they are but for their hits
	rules   []RuleSample
}

// openFlows are the flows that are open, as they were counted last. It costs a
// look at every socket, so it is done every flowsAge.
type openFlows struct {
	counter *datapath.FlowCounter // nil where the programs of another build are attached
	bySlot  []datapath.Flows
	stayed  []datapath.Stayed
	counted time.Time
}

const flowsAge = 5 * time.Second

// Meter is a meter of what is applied, now and whenever it is read. Close it
// after use.
func (l *Loader) Meter() *Meter { return &Meter{loader: l} }

// Close lets go of the kernel's objects.
func (m *Meter) Close() {
	if m.counts != nil {
		m.counts.Close()
	}
	if m.flows.counter != nil {
		m.flows.counter.Close()
	}
	m.counts, m.reader, m.version, m.flows, m.lines, m.rules = nil, nil, 0, openFlows{}, nil, nil
}

// Read is what is counted now. Beside an apply it is of the policy before or
// of the one after, never of both. An error that is fs.ErrNotExist says that
// nothing is applied.
func (m *Meter) Read() (*Sample, error) {
	dir, err := m.loader.dir()
	if err != nil {
		return nil, err
	}
	const tries = 10 // an apply writes its state three times
	for range tries {
		version := datapath.StateVersion(dir)
		if err := m.renew(version); err != nil {
			return nil, err
		}
		sample, err := m.sample()
		if datapath.StateVersion(dir) == version {
			return sample, err
		}
	}
	return nil, fmt.Errorf("read the counters: the policy changes all the time: try again")
}

// renew takes up what was applied since it last did.
func (m *Meter) renew(version uint64) error {
	if version == 0 {
		m.Close()
		if _, err := m.loader.State(); err != nil {
			return err // it may be there, and not for us to see
		}
		return fmt.Errorf("read the counters: %w", fs.ErrNotExist)
	}
	if version == m.version {
		return nil
	}
	m.Close()
	state, err := m.loader.State()
	if err != nil {
		return err
	}
	policy, err := state.Policy()
	if err != nil {
		return err
	}
	if err := m.loader.at(state.CgroupRoot); err != nil {
		return err
	}
	w, err := m.loader.survey(wanted{policy: policy})
	if err != nil {
		return err
	}
	if w.instance == nil {
		return fmt.Errorf("read the counters: %w", fs.ErrNotExist)
	}
	m.state, m.plan, m.counts = state, w.plan, w.instance
	if m.reader, err = m.counts.Reader(m.plan); err != nil {
		return err
	}
	if m.state.current() {
		if m.flows.counter, err = m.counts.FlowCounter(m.plan); err != nil {
			return err
		}
	}
	m.word()
	m.version = version
	return nil
}

// word puts matches and rules into words, once for all readings.
func (m *Meter) word() {
	m.lines, m.rules = make([]LineSample, len(m.plan.Lines)), make([]RuleSample, len(m.plan.Rules))
	for k, l := range m.plan.Lines {
		m.lines[k] = LineSample{Class: m.plan.ClassName(l.Class), Text: l.Text.String(), Where: l.Pos.String()}
	}
	for k, r := range m.plan.Rules {
		m.rules[k] = RuleSample{Rule: r, Text: r.Args()}
	}
}

func (m *Meter) sample() (*Sample, error) {
	s := &Sample{Time: time.Now(), Applied: m.state.Applied, State: m.state.Number,
		Overrides: len(m.state.Overrides), Waiting: len(m.plan.Waiting), Drops: []DropSample{}, Turns: []TurnSample{}, Off: []string{}}
	up, err := m.uplinks(s)
	if err != nil {
		return nil, err
	}
	if err := m.reader.Read(); err != nil {
		return nil, err
	}
	if m.reader.Full() {
		s.Off = append(s.Off, "Round-trip, connect and queue times that a class had not had before are not counted: there is no room for more of them.")
	}
	if err := m.flows.count(s); err != nil {
		return nil, err
	}
	stayedAway := away(m.flows.stayed)
	for _, c := range append(m.plan.Classes[:len(m.plan.Classes):len(m.plan.Classes)], plan.Class{Name: Unclassed}) {
		class := ClassSample{Name: c.Name, Mark: c.Mark, Way: append([]string{}, c.Route.Uplinks...)}
		if c.Number != 0 {
			class.Route, class.Balance, class.Uplink = c.Route.String(), c.Route.Weights != nil, firstUp(c.Route.Uplinks, up)
		}
		if int(c.Slot) < len(m.flows.bySlot) {
			class.Open, class.Kept = m.flows.bySlot[c.Slot].Open, m.flows.bySlot[c.Slot].Kept
		}
		elsewhere := stayedAway[c.Mark]
		class.Traffic = make([]UplinkTally, len(m.plan.Uplinks))
		for k, u := range m.plan.Uplinks {
			class.Traffic[k] = UplinkTally{u.Name, elsewhere[u.Number], m.reader.Tally(c.Slot, u.Number)}
		}
		s.Classes = append(s.Classes, class)
	}
	m.hits(s)
	m.turns(s)
	m.drops(s)
	m.off(s)
	m.decided(s)
	return s, nil
}

func (f *openFlows) count(s *Sample) (err error) {
	if f.counter == nil {
		s.Off = append(s.Off, "Open flows are not counted: the programs of another build of waymark are attached; `waymark apply` replaces them.")
		return nil
	}
	if f.bySlot != nil && time.Since(f.counted) < flowsAge {
		return nil
	}
	f.bySlot, f.stayed, err = f.counter.Count()
	f.counted = time.Now()
	return err
}

// uplinks adds the uplinks as they are now, and tells which are up.
func (m *Meter) uplinks(s *Sample) (up map[string]bool, err error) {
	names := make([]string, len(m.plan.Uplinks))
	for k, u := range m.plan.Uplinks {
		names[k] = u.Interface
	}
	links, err := host.Links(names)
	if err != nil {
		return nil, err
	}
	up = map[string]bool{}
	for _, u := range m.plan.Uplinks {
		link, there := links[u.Interface]
		up[u.Name] = there && link.Up && link.Carrier && u.Withdrawn == ""
		s.Uplinks = append(s.Uplinks, UplinkSample{Name: u.Name, Interface: u.Interface, Table: u.Table, Up: up[u.Name]})
	}
	return up, nil
}

func firstUp(names []string, up map[string]bool) string {
	for _, name := range names {
		if up[name] {
			return name
		}
	}
	return ""
}

func (m *Meter) hits(s *Sample) {
	if len(m.plan.Lines) > datapath.MostHits {
		s.Off = append(s.Off, fmt.Sprintf("Hits are counted of the first %d matches, and not of the %d after them.", datapath.MostHits, len(m.plan.Lines)-datapath.MostHits))
	}
	s.Lines = slices.Clone(m.lines)
	for k, n := range m.reader.Hits() {
		s.Lines[k].Hits = n
	}
}

// turns adds every uplink's, by each cause: a series that begins with its first
// value has no increase.
func (m *Meter) turns(s *Sample) {
	for _, u := range m.plan.Uplinks {
		for _, cause := range datapath.TurnCauses {
			s.Turns = append(s.Turns, TurnSample{u.Name, cause.String(), m.reader.Turns(u.Number, cause)})
		}
	}
}

// drops adds what the kernel dropped of the policy's classes.
func (m *Meter) drops(s *Sample) {
	names := map[uint32]string{0: Unclassed}
	for _, c := range m.plan.Classes {
		names[c.Slot] = c.Name
	}
	for _, d := range m.reader.Drops() {
		if name, ok := names[d.Slot]; ok {
			s.Drops = append(s.Drops, DropSample{Class: name, Reason: d.Reason, Place: d.Place, Packets: d.Packets})
		}
	}
}

// groups are what is not counted without them, in the words of a sentence.
var groups = map[classes.Group]string{
	classes.GroupRTT:     "Round-trip times",
	classes.GroupConnect: "Connections, their connect times, and retransmits",
	classes.GroupQueue:   "Times in the queue",
	classes.GroupDrops:   "Drops",
	classes.GroupHits:    "Hits of matches",
	classes.GroupSends:   "Datagrams that could not be sent",
}

// off says what is not counted, for the policy or the kernel does not have it.
func (m *Meter) off(s *Sample) {
	for _, g := range classes.Groups {
		h, traces := plan.TracePrograms[g]
		switch {
		case slices.Contains(m.plan.Off, g):
			s.Off = append(s.Off, fmt.Sprintf("%s are not counted: the policy says `telemetry: {%s: false}`.", groups[g], g))
		case traces && !slices.ContainsFunc(m.plan.Hooks, func(p plan.Hook) bool { return p.Program == h.Program }):
			s.Off = append(s.Off, fmt.Sprintf("%s are not counted: this kernel has no %s that can be used.", groups[g], h.Place))
		}
	}
}

// decided adds the ladder. The kernel does not count what a rule decides; what
// leaves by a class and an uplink does so by one rule of the class's block.
func (m *Meter) decided(s *Sample) {
	s.Rules = slices.Clone(m.rules)
	for k, r := range m.plan.Rules {
		uplink := m.uplinkOf(r.Table)
		if uplink < 0 || r.Action != plan.Lookup {
			continue
		}
		for n := range s.Classes {
			if packets, of := decidedBy(&r, &s.Classes[n], uplink); of {
				s.Rules[k].Packets += packets
				s.Rules[k].Classes = append(s.Rules[k].Classes, RuleClass{s.Classes[n].Name, packets})
			}
		}
	}
}

// decidedBy is what left of a class for a rule's sake, by the uplink of the
// rule's table. Of a rule for an address there is something to say where some
// did, and of what is unclassed.
func decidedBy(r *plan.Rule, c *ClassSample, uplink int) (packets uint64, of bool) {
	t := &c.Traffic[uplink]
	switch {
	case r.Mask == 0:
		return t.Causes.Chosen, t.Causes.Chosen > 0 || c.Mark == 0
	case c.Mark == 0 || r.From.IsValid() || c.Mark&r.Mask != r.Mark:
		return 0, false
	case r.Family == plan.IPv6:
		return t.Sent.IPv6.Packets, true
	default:
		return t.Sent.IPv4.Packets, true
	}
}

// uplinkOf is the place in the plan of the uplink with a table; -1 for none.
func (m *Meter) uplinkOf(table uint32) int {
	for k, u := range m.plan.Uplinks {
		if u.Table == table {
			return k
		}
	}
	return -1
}
