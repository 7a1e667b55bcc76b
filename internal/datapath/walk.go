// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"waymark/bpf"
)

// Walked is what was done with the sockets that were open before there was
// a class for them.
type Walked struct {
	Marked  uint64 `json:"marked"`  // TCP sockets that got their class's mark
	Noted   uint64 `json:"noted"`   // UDP sockets whose class tc egress knows from now on
	Inbound uint64 `json:"inbound"` // accepted connections, which leave where they came in
	Failed  uint64 `json:"failed"`
}

// Walk classes the open sockets of the calling thread's network namespace
// that no hook has seen. Sockets that have a class keep it.
func (i *Instance) Walk() (w Walked, err error) {
	for word := range i.maps.Listened.MaxEntries() {
		if err := i.maps.Listened.Put(word, uint64(0)); err != nil {
			return w, fmt.Errorf("walk over the open sockets: %w", err)
		}
	}
	if err := i.maps.Walked.Put(uint32(0), bpf.WaymarkWalkResult{}); err != nil {
		return w, fmt.Errorf("walk over the open sockets: %w", err)
	}
	spec, err := i.spec()
	if err != nil {
		return w, err
	}
	programs, err := i.verify(spec, bpf.WaymarkProgFindListeners, bpf.WaymarkProgRemarkTcp, bpf.WaymarkProgNoteUdp)
	if err != nil {
		return w, err
	}
	for _, p := range programs {
		defer p.Close()
	}
	for _, p := range programs {
		if err := walk(p); err != nil {
			return w, fmt.Errorf("walk over the open sockets: %w", err)
		}
	}
	var r bpf.WaymarkWalkResult
	if err := i.maps.Walked.Lookup(uint32(0), &r); err != nil {
		return w, fmt.Errorf("walk over the open sockets: %w", err)
	}
	return Walked{Marked: r.Marked, Noted: r.Noted, Inbound: r.Inbound, Failed: r.Failed}, nil
}

// walk runs one iterator to its end.
func walk(p *ebpf.Program) error {
	iter, err := link.AttachIter(link.IterOptions{Program: p})
	if err != nil {
		return err
	}
	defer iter.Close()
	r, err := iter.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}
