// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

// TestFatesOfContainers has sockets in a network namespace behind the host,
// whose packets are classed as they come in. Those that are kept send all the
// time: none of their packets may ask the new policy.
func TestFatesOfContainers(t *testing.T) {
	for _, fate := range []string{"keep", "move", "reset"} {
		t.Run(fate, func(t *testing.T) {
			s := newTraffic(t, lab.Options{Container: true, Forward: true})
			s.cgroups(t, "other.slice", "empty.slice")
			before, changes := changedPolicies(fate)
			s.apply(t, before)
			for change, after := range changes {
				t.Run(change, func(t *testing.T) { s.containerFates(t, fate, before, after) })
			}
		})
	}
}

func (s *site) containerFates(t *testing.T, fate, before, after string) {
	t.Helper()
	s.apply(t, before)
	var flows []*openFlow
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			job := in("app.slice/docker/x", f.job(kind, 1))
			c := must[*lab.Client](t)(s.Container.Open(job))
			t.Cleanup(func() { c.Close() })
			o := &openFlow{name: string(kind) + "/" + string(f), node: s.Container, job: job, client: c, reset: kind != lab.SendTo}
			if o.by = (map[string]int{"move": byC, "reset": byC}); kind == lab.SendTo {
				o.by["keep"] = byC // each datagram is a flow
			}
			flows = append(flows, o)
		}
	}
	want := map[string]datapath.Walked{"keep": {Kept: 4}, "move": {Moved: 4}, "reset": {Reset: 4}}[fate]
	change := func() {
		if diff := cmp.Diff(want, s.apply(t, after).Sockets, cmpopts.IgnoreFields(datapath.Walked{}, "Took")); diff != "" {
			t.Errorf("what apply says of open sockets (-want +got):\n%s", diff)
		}
	}
	if fate == "keep" {
		s.throughout(t, flows, change)
		s.reapply(t)
	} else {
		change()
	}
	if kept := s.kept(t); kept != want.Kept {
		t.Errorf("status counts %d flows that were left as they were, want %d", kept, want.Kept)
	}
	for _, o := range flows {
		t.Run(o.name, func(t *testing.T) { s.meets(t, fate, o) })
		if err := o.client.Close(); err != nil {
			t.Error(err)
		}
		t.Run(o.name+"/begun later", func(t *testing.T) { s.passes(t, s.Container, o.job, byC) })
	}
	s.reapply(t)
	if kept := s.kept(t); kept != 0 {
		t.Errorf("when all are closed, status counts %d flows that were left as they were", kept)
	}
}

// passes checks by which router a job's socket behind the host leaves.
func (s *site) passes(t *testing.T, from *lab.Node, job lab.Job, router int) {
	t.Helper()
	f := v4
	if job.To[0].Addr().Is6() {
		f = v6
	}
	s.send(t, from, job).left(t, router, f.inside(from))
}

// throughout changes something while flows send that stay as they are.
func (s *site) throughout(t *testing.T, flows []*openFlow, change func()) {
	t.Helper()
	var packets []func(lab.Packet) bool
	stop, stopped := make(chan bool), make(chan error)
	n := 0
	s.drain(t)
	for _, o := range flows {
		if o.by["keep"] != 0 {
			continue
		}
		n++
		packets = append(packets, socketOf(o.job, o.client.Opened))
		go func() {
			for {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
				}
				if r, err := o.client.Send(1, 16); err != nil || r.Err() != nil {
					stopped <- errors.Join(err, r.Err())
					return
				}
			}
		}()
	}
	change()
	close(stop)
	for range n {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	for router, got := range s.collect(t, func(p lab.Packet) bool {
		return slices.ContainsFunc(packets, func(ours func(lab.Packet) bool) bool { return ours(p) })
	}) {
		if router != byB && len(got) > 0 {
			t.Errorf("router %d got %d packets of flows that stay by router %d, the first %v", router, len(got), byB, got[0])
		}
	}
}

// kept is how many flows status counts that a change left as they were.
func (s *site) kept(t *testing.T) (kept uint64) {
	t.Helper()
	for _, class := range s.status(t).Classes {
		kept += class.Kept
	}
	return kept
}
