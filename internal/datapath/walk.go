// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/plan"
)

// Change is what a walk follows: one table of matches in place of another.
type Change struct {
	Plan      *plan.Plan        // the one in force afterwards
	Heirs     map[uint32]uint32 // plan.Heirs
	Fate      classes.Fate      // in place of the classes' own; "": theirs
	First     bool              // there was no table before: sockets without a class get theirs
	Rehearses bool              // count only, what Rehearse's table would change
	Holds     bool              // note the flows elsewhere that will be kept, before the table is in force
	Ahead     bool              // the table is not in force yet: it is in the place of the one before
	Back      bool              // the other way round, from the live table to the one before
	Elsewhere bool              // walk network namespaces that are not the instance's
}

// Walker prepares a walk over the sockets that a change concerns. The tables
// before and after it must both be there: call it after Prepare or Publish and
// before Retire.
func (i *Instance) Walker(c Change) (*Walker, error) {
	live, err := i.live()
	if err != nil {
		return nil, err
	}
	from, to := 1-live, live
	if c.Back || c.Ahead {
		from, to = to, from
	}
	if c.First {
		from = uint32(bpf.WaymarkWalkVersionsNO_VERSION)
	}
	w, err := i.changeWalker()
	if err != nil {
		return nil, err
	}
	order := bpf.WaymarkWalkOrder{From: from, To: to, Fate: fates[c.Fate], Elsewhere: truth(c.Elsewhere),
		Holds: truth(c.Holds), Rehearses: truth(c.Rehearses)}
	if err := errors.Join(w.ask(order), w.fillHeirs(c.Heirs)); err != nil {
		w.Close()
		return nil, fmt.Errorf("prepare the walk over the open sockets: %w", err)
	}
	return w, nil
}

// Reroute is a walk's task where classes leave by other uplinks of their route
// than before, and nothing else of them changed.
type Reroute struct {
	Plan      *plan.Plan // in force
	Before    []string   // names of the uplinks that could be used
	After     []string   // those that can be now
	Elsewhere bool       // walk network namespaces that are not the instance's
}

// Rerouter prepares a walk over the flows whose classes leave by other uplinks
// now. The rules have to lead there already: what is reset connects again at once.
func (i *Instance) Rerouter(r Reroute) (*Walker, error) {
	live, err := i.live()
	if err != nil {
		return nil, err
	}
	w, err := i.changeWalker()
	if err != nil {
		return nil, err
	}
	order := bpf.WaymarkWalkOrder{From: live, To: live, Elsewhere: truth(r.Elsewhere), UsableBefore: numbersOf(r.Plan, r.Before), Usable: numbersOf(r.Plan, r.After)}
	if err := w.ask(order); err != nil {
		w.Close()
		return nil, fmt.Errorf("prepare the walk over the open sockets: %w", err)
	}
	return w, nil
}

// numbersOf are uplinks as a bitmap; those that the plan does not have are left out.
func numbersOf(p *plan.Plan, names []string) (bits uint64) {
	for _, name := range names {
		if u := p.UplinkNamed(name); u != nil {
			bits |= 1 << u.Number
		}
	}
	return bits
}

// fates are the fates as the programs know them.
var fates = map[classes.Fate]uint32{
	"":                uint32(bpf.WaymarkFateFATE_OF_CLASS),
	classes.FateKeep:  uint32(bpf.WaymarkFateFATE_KEEP),
	classes.FateMove:  uint32(bpf.WaymarkFateFATE_MOVE),
	classes.FateReset: uint32(bpf.WaymarkFateFATE_RESET),
}

func truth(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func (w *Walker) fillHeirs(heirs map[uint32]uint32) error {
	if err := w.forgetHeirs(); err != nil {
		return err
	}
	for before, after := range heirs {
		if err := w.maps[bpf.WaymarkMapHeirs].Put(before, after); err != nil {
			return err
		}
	}
	return nil
}

// forgetHeirs takes out those of the walk before.
func (w *Walker) forgetHeirs() error {
	var all []uint32
	var before, after uint32
	entries := w.maps[bpf.WaymarkMapHeirs].Iterate()
	for entries.Next(&before, &after) {
		all = append(all, before)
	}
	err := entries.Err()
	for _, mark := range all {
		err = errors.Join(err, w.maps[bpf.WaymarkMapHeirs].Delete(mark))
	}
	return err
}

// Walk deals with the open sockets of the calling thread's network
// namespace. doomed are the cookies of those that have to be reset and that
// the kernel's programs cannot.
func (w *Walker) Walk() (done Walked, doomed []uint64, err error) {
	if err := w.forget(); err != nil {
		return done, nil, fmt.Errorf("walk over the open sockets: %w", err)
	}
	for _, program := range walkPrograms {
		printed, took, err := iterate(w.programs[program])
		if err != nil {
			return done, nil, fmt.Errorf("walk over the open sockets: %w", err)
		}
		for ; len(printed) >= 8; printed = printed[8:] {
			doomed = append(doomed, binary.NativeEndian.Uint64(printed))
		}
		done.Took += took
	}
	var r bpf.WaymarkWalkResult
	if err := w.maps[bpf.WaymarkMapWalked].Lookup(uint32(0), &r); err != nil {
		return done, nil, fmt.Errorf("walk over the open sockets: %w", err)
	}
	done.Add(Walked{Marked: r.Marked, Noted: r.Noted, Moved: r.Moved, Kept: r.Kept, Pinned: r.Pinned,
		Inbound: r.Inbound, Reset: r.Reset, Failed: r.Failed})
	return done, doomed, nil
}

// forget makes the maps ready for another network namespace.
func (w *Walker) forget() error {
	return errors.Join(w.forgetListeners(), w.maps[bpf.WaymarkMapWalked].Put(uint32(0), bpf.WaymarkWalkResult{}))
}

func (w *Walker) forgetListeners() error {
	listened := w.maps[bpf.WaymarkMapListened]
	return putEntries(listened, make([]uint64, listened.MaxEntries()))
}

// iterate runs one iterator to its end, and returns what it printed and the
// CPU time that it took.
func iterate(p *ebpf.Program) (printed []byte, took time.Duration, err error) {
	iter, err := link.AttachIter(link.IterOptions{Program: p})
	if err != nil {
		return nil, 0, err
	}
	defer iter.Close()
	r, err := iter.Open()
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	printed, err = io.ReadAll(r)
	return printed, threadTime() - before, err
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	// It fails for clocks that do not exist.
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
