// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"

	"waymark/bpf"
	"waymark/internal/plan"
)

// A CarriedLook finds the marks that flows have without their sockets: of UDP
// sockets whose class is noted, and of all flows of other network namespaces,
// whose packets are classed as they come in.
type CarriedLook struct {
	walker *Walker
	mask   plan.Mask
}

// CarriedLook prepares the walks. alone says that nobody else walks until it
// is closed: then no program has to be verified.
func (i *Instance) CarriedLook(alone bool) (*CarriedLook, error) {
	live, err := i.live()
	if err != nil {
		return nil, err
	}
	prepare := func() (*Walker, error) { return i.verifyWalker(walkPrograms...) }
	if alone {
		prepare = i.changeWalker
	}
	w, err := prepare()
	if err != nil {
		return nil, err
	}
	l := &CarriedLook{w, i.settings.Mask}
	carried := w.maps[bpf.WaymarkMapCarried]
	cleared := putEntries(carried, make([]uint32, carried.MaxEntries()))
	if err := errors.Join(w.forgetHeirs(), cleared); err != nil {
		l.Close()
		return nil, fmt.Errorf("prepare to look for marks that are noted: %w", err)
	}
	order := bpf.WaymarkWalkOrder{From: live, To: live, Rehearses: 1}
	return l, w.ask(order)
}

// Elsewhere makes the next walks those of other network namespaces.
func (l *CarriedLook) Elsewhere() error { return l.walker.elsewhere() }

// Walk looks through the calling thread's network namespace.
func (l *CarriedLook) Walk() error {
	_, _, err := l.walker.Walk()
	return err
}

// Marks are those that were found.
func (l *CarriedLook) Marks() (map[uint32]bool, error) {
	found, err := entriesOf[uint32](l.walker.maps[bpf.WaymarkMapCarried])
	if err != nil {
		return nil, fmt.Errorf("read the marks that are noted: %w", err)
	}
	marks := map[uint32]bool{}
	for number, here := range found {
		if here != 0 {
			marks[l.mask.Spread(uint32(number))] = true
		}
	}
	return marks, nil
}

// Close lets the programs go.
func (l *CarriedLook) Close() { l.walker.Close() }
