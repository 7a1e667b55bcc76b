// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"time"

	"waymark/internal/datapath"
)

// Lost is an uplink that classes cannot leave by any more.
type Lost struct {
	Uplink string
	Cause  datapath.TurnCause
	Since  time.Duration // its last sign of life, by CLOCK_MONOTONIC
}

// early is how much before the notice of a carrier's loss a packet may have left by
// another uplink for its sake: the kernel's rules answer before it tells.
const early = time.Second

// AwaitTurns has the programs note, for each of these uplinks, the first packet
// that leaves by another in its place.
func (l *Loader) AwaitTurns(uplinks []string) error {
	return l.turns(func(i *datapath.Instance, number map[string]int) error {
		for _, name := range uplinks {
			if n, ok := number[name]; ok {
				if err := i.AwaitTurn(n); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Turned is a lost uplink whose classes leave by another.
type Turned struct {
	Lost
	Took time.Duration // until the first packet of theirs did
}

// CountTurns counts how long the classes of lost uplinks took to leave by
// another, and returns those that do now, and those for which no packet has
// done so yet.
func (l *Loader) CountTurns(lost []Lost) (turned []Turned, waiting []Lost, err error) {
	err = l.turns(func(i *datapath.Instance, number map[string]int) error {
		for _, u := range lost {
			n, ok := number[u.Uplink]
			if !ok {
				continue
			}
			took, done, err := countTurn(i, n, u)
			switch {
			case err != nil:
				return err
			case done:
				turned = append(turned, Turned{u, took})
			default:
				waiting = append(waiting, u)
			}
		}
		return nil
	})
	return turned, waiting, err
}

// countTurn tells whether there was a packet. One that left before the uplink
// was lost left for another reason, such as a route of main's: the next counts.
func countTurn(i *datapath.Instance, number int, u Lost) (took time.Duration, done bool, err error) {
	at, done, err := i.Turn(number)
	if err != nil || !done {
		return 0, false, err
	}
	if at < u.Since-early {
		return 0, false, i.AwaitTurn(number)
	}
	took = max(0, at-u.Since)
	return took, true, i.CountTurn(number, u.Cause, took)
}

// turns opens the instance that Heal last saw; without one there is nothing to do.
func (l *Loader) turns(do func(i *datapath.Instance, number map[string]int) error) error {
	if l.memory == nil || !l.memory.state.current() {
		return nil
	}
	dir, err := l.dir()
	if err != nil {
		return err
	}
	i, err := datapath.Open(dir, l.memory.state.Settings)
	if err != nil {
		return fmt.Errorf("measure a fail-over: %w", err)
	}
	defer i.Close()
	return do(i, l.memory.state.Numbers.Uplinks)
}
