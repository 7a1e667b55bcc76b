// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"io/fs"
	"time"

	"waymark/internal/probe"
	"waymark/loader"
)

// Source is where the metrics come from. Its functions are called by one
// goroutine at a time.
type Source struct {
	Version string                         // of this binary
	Read    func() (*loader.Sample, error) // an error that is fs.ErrNotExist says that nothing is applied
	Agent   func() (*Agent, error)         // nil, nil: none runs
}

// Agent is what the agent says of itself.
type Agent struct {
	Since    time.Time
	Heals    map[string]uint64 // what was put back, by kind, by agents before it too
	Problems int               // things that are wrong now, and that it could not mend
	Probes   []probe.State     // of the uplinks that the policy has probed
}

// healKinds are the kinds of Agent.Heals that are shown before there is one.
var healKinds = []string{"hook", "map", "pin", "route", "rule", "sysctl"}

// input is what one scrape shows.
type input struct {
	version string
	sample  *loader.Sample // nil: nothing is applied, or it could not be read
	agent   *Agent         // nil: none runs, or it could not be read
	applied known          // whether anything is
	runs    known          // whether an agent does
	failed  uint64         // scrapes that could not read all of it, so far
	took    time.Duration  // reading
	pairs   []pair         // of the sample
}

// known is whether something is so, as far as that could be read.
type known int

const (
	unread known = iota
	no
	yes
)

func knownBy(is bool, err error) known {
	switch {
	case is:
		return yes
	case err != nil:
		return unread
	}
	return no
}

// tell adds a series if it is known.
func (k known) tell(s *series) {
	if k != unread {
		s.set(truth(k == yes))
	}
}

// read never fails as a whole: what could not be read is missing, and said
// by failed and the error.
func (s *Source) read(failed *uint64) (in input, err error) {
	begun := time.Now()
	in.version = s.Version
	if in.sample, err = s.Read(); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	in.applied = knownBy(in.sample != nil, err)
	agent, agentErr := s.Agent()
	in.agent, in.runs = agent, knownBy(agent != nil, agentErr)
	if err = errors.Join(err, agentErr); err != nil {
		*failed++
	}
	in.failed, in.took = *failed, time.Since(begun)
	return in, err
}
