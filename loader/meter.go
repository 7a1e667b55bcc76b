// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"io/fs"
	"slices"
	"time"

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
	told    datapath.Told
	flows   openFlows
	lines   []LineSample // as they are but for their hits
	rules   []RuleSample
}

// Meter is a meter of what is applied, now and whenever it is read. Close it
// after use.
func (l *Loader) Meter() *Meter { return &Meter{loader: l, told: datapath.Told{}} }

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
	for begun := time.Now(); ; {
		version := datapath.StateVersion(dir)
		sample, err := m.of(version)
		if datapath.StateVersion(dir) == version {
			return sample, err
		}
		if time.Since(begun) > unrest {
			return nil, fmt.Errorf("read the counters: the policy changes all the time: try again")
		}
	}
}

// unrest is how long a reading tries to come between two changes of the state, of
// which an apply makes three. A scrape waits for ten seconds.
const unrest = 5 * time.Second

// of is a sample of a state's version.
func (m *Meter) of(version uint64) (*Sample, error) {
	if err := m.renew(version); err != nil {
		return nil, err
	}
	return m.sample()
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
	counter := m.flows.counter
	m.flows.counter = nil
	m.Close()
	err := m.takeUp(counter)
	if counter != nil && counter != m.flows.counter {
		counter.Close()
	}
	if err == nil {
		m.version = version
	}
	return err
}

// takeUp begins anew with what is applied now, and keeps the counter of open flows
// that there was, if it can be used.
func (m *Meter) takeUp(counter *datapath.FlowCounter) error {
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
	w, err := m.loader.survey(wanted{policy: policy, looks: true, inForce: true})
	if err != nil {
		return err
	}
	if w.instance == nil {
		return fmt.Errorf("read the counters: %w", fs.ErrNotExist)
	}
	if m.state != nil && !state.follows(m.state) {
		clear(m.told)
	}
	m.state, m.plan, m.counts = state, w.plan, w.instance
	if m.reader, err = m.counts.Reader(m.plan, m.told); err != nil {
		return err
	}
	m.word()
	if !m.state.current() {
		return nil
	}
	if counter != nil && counter.Follows(m.counts) {
		m.flows.counter = counter
		return nil
	}
	m.flows.counter, err = m.counts.FlowCounter()
	return err
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
	if m.reader.DropsFull() {
		s.Off = append(s.Off, "Drops for a reason, or in a place, that a class had not had before are not counted: there is no room for more of them.")
	}
	if err := m.flows.count(s); err != nil {
		return nil, err
	}
	stayedAway, gone := away(m.flows.stayed), m.plan.GoneUplinks()
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
		class.Gone = m.reader.Together([]uint32{c.Slot}, gone)
		s.Classes = append(s.Classes, class)
	}
	slots := m.plan.GoneSlots()
	for k, u := range m.plan.Uplinks {
		s.Uplinks[k].Gone = m.reader.Together(slots, []int{u.Number})
	}
	m.hits(s)
	m.turns(s)
	m.drops(s)
	m.off(s)
	m.decided(s)
	return s, nil
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
		u.Up = there && link.Up && link.Carrier // now, with or without an agent
		up[u.Name] = u.Usable()
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
