// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

// moveable is a policy for moves; all its classes keep open sockets.
const moveable = threeUplinks + `
classes:
  - {name: bulk, route: [b], match: [{cgroup: bulk.slice}]}
  - {name: exec, route: [c], match: [{cgroup: exec.slice}]}
`

// moved is what `move -o json` says.
type moved struct {
	DryRun  bool            `json:"dryRun"`
	Sockets datapath.Walked `json:"sockets"`
}

// move runs the verb, which has to succeed, and checks what it says of open sockets.
func (s *site) move(t *testing.T, want datapath.Walked, args ...string) {
	t.Helper()
	got := item[moved](t, s.ok(t, append([]string{"move", "-o", "json"}, args...)...))
	if diff := cmp.Diff(want, got.Sockets, cmpopts.IgnoreFields(datapath.Walked{}, "Took")); diff != "" {
		t.Errorf("move %s says of open sockets (-want +got):\n%s", args, diff)
	}
}

// TestMove moves a unit with open sockets about, and takes it back: by each
// fate, from no class and from one, to a class and to none.
func TestMove(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "system.slice/x.service", "bulk.slice", "exec.slice")
	s.apply(t, moveable)
	const unit = "system.slice/x.service"
	type flow struct {
		job    lab.Job
		client *lab.Client
	}
	open := func(t *testing.T) (flows []flow) {
		for _, f := range bothFamilies {
			for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
				job := in(unit, from(f.homeless(), f.job(kind, 1)))
				flows = append(flows, flow{job, s.open(t, job)})
			}
		}
		return flows
	}
	go4 := func(t *testing.T, flows []flow, router int) {
		t.Helper()
		for _, f := range flows {
			s.sends(t, f.job, f.client).stays(t, router, f.job.Bind.Addr())
		}
	}
	for _, to := range []struct {
		class  string
		router int
	}{{"bulk", byB}, {"unclassed", byA}} {
		t.Run(to.class, func(t *testing.T) {
			start := byA
			if to.class == "unclassed" {
				s.move(t, datapath.Walked{}, unit, "exec") // a class to come from
				defer s.move(t, datapath.Walked{}, "--undo", unit)
				start = byC
			}
			subject := unit
			if to.class == "bulk" {
				subject = "x.service"
			}
			t.Run("dry run", func(t *testing.T) {
				flows := open(t)
				s.move(t, datapath.Walked{Moved: 4}, subject, to.class, "--existing", "move", "--dry-run")
				s.move(t, datapath.Walked{Kept: 4}, subject, to.class, "--dry-run")
				s.move(t, datapath.Walked{Reset: 4}, subject, to.class, "--dry-run", "--existing", "reset")
				go4(t, flows, start)
				closeAll(t, flows, func(f flow) *lab.Client { return f.client })
			})
			if to.class == "unclassed" {
				for fate, router := range map[string]int{"keep": byC, "move": byA} {
					t.Run(fate, func(t *testing.T) {
						flows := open(t)
						want := map[string]datapath.Walked{"keep": {Kept: 4}, "move": {Moved: 4}}[fate]
						s.move(t, want, unit, "unclassed", "--existing", fate)
						go4(t, flows, router)
						closeAll(t, flows, func(f flow) *lab.Client { return f.client })
						s.move(t, datapath.Walked{}, unit, "exec")
					})
				}
				return
			}
			for _, fate := range []string{"keep", "move", "reset"} {
				t.Run(fate, func(t *testing.T) {
					flows := open(t)
					s.move(t, map[string]datapath.Walked{"keep": {Kept: 4}, "move": {Moved: 4}, "reset": {Reset: 4}}[fate], subject, to.class, "--existing", fate)
					s.leaves(t, in(unit, v4.job(lab.TCP, 1)), byB)
					switch fate {
					case "keep":
						go4(t, flows, byA)
						s.move(t, datapath.Walked{}, "--undo", subject)
						go4(t, flows, byA)
					case "move":
						go4(t, flows, byB)
						s.move(t, datapath.Walked{Moved: 4}, "--undo", subject)
						go4(t, flows, byA)
					case "reset":
						for _, f := range flows {
							if r := must[lab.Result](t)(f.client.Send(1, 16)); r.Errno == "" {
								t.Errorf("%s works on", f.job.Kind)
							}
						}
						s.move(t, datapath.Walked{}, "--undo", subject)
					}
					s.leaves(t, in(unit, v4.job(lab.TCP, 1)), byA)
					closeAll(t, flows, func(f flow) *lab.Client { return f.client })
				})
			}
		})
	}
}

// closeAll ends clients.
func closeAll[T any](t *testing.T, all []T, client func(T) *lab.Client) {
	t.Helper()
	for _, c := range all {
		if err := client(c).Close(); err != nil {
			t.Error(err)
		}
	}
}

// transfer sends data to and fro until it is told to stop.
func transfer(c *lab.Client, stop chan bool) error {
	const size = 16 << 20
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		r, err := c.Send(1, size)
		if err != nil {
			return err
		}
		if r.Err() != nil || r.Sent != size {
			return fmt.Errorf("%d bytes came back of %d: %w", r.Sent, size, r.Err())
		}
	}
}

// TestMoveTransfers moves a connection to and fro while it carries data: both
// uplinks reach the peer, and every byte arrives.
func TestMoveTransfers(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "x.slice")
	s.apply(t, moveable)
	for _, f := range bothFamilies {
		t.Run(string(f), func(t *testing.T) {
			job := in("x.slice", from(f.homeless(), f.job(lab.TCP, 1)))
			job.Timeout = 60e9
			c := s.open(t, job)
			stop, done := make(chan bool), make(chan error, 1)
			go func() { done <- transfer(c, stop) }()
			for n := range 6 {
				s.move(t, datapath.Walked{Moved: 1}, "x.slice", []string{"bulk", "exec"}[n%2], "--existing", "move")
			}
			close(stop)
			if err := <-done; err != nil {
				t.Error(err)
			}
			s.ok(t, "move", "--undo", "x.slice")
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestResetWithinHost resets the flows of a class: none of those is on its way out that
// the host has with itself.
func TestResetWithinHost(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, groupBy("b"))
	out, within := s.flow(t, "out", v4.job(lab.TCP, 1)), s.withinHost(t)
	s.ok(t, "move", "class:group", "unclassed", "--existing", "reset")
	s.wereReset(t, []*openFlow{out})
	s.answered(t, within)
	s.ok(t, "move", "--undo", "class:group")
	s.answered(t, within)
}
