// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
	"waymark/loader"
)

// failsOver is a policy whose class prefers b, which is probed, and whose open
// flows meet a fate.
func failsOver(fate string) string {
	return "uplinks:\n" + uplinkA +
		"  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"], probe: {icmp: [203.0.113.1], interval: 100ms, hold: 100ms}}\n" +
		"classes:\n  - {name: group, route: [b, a], existing: " + fate + ", match: [{cgroup: app.slice}]}\n"
}

// met is what changes did to a class's open sockets.
type met struct{ moved, kept, reset uint64 }

func (s *site) met(t *testing.T) met {
	t.Helper()
	n := tallyOf(t, s.metered(t), "group")
	return met{n.Moved, n.Kept, n.Reset}
}

// meeting waits until open sockets have met what they are to: the agent has
// said so as often as it is to.
func (s *site) meeting(t *testing.T, a *agentRun, times int, before, want met) {
	t.Helper()
	soon(t, "open flows meet their fate", func() error {
		if n := strings.Count(a.logged(), "open flows met their fate"); n < times {
			return fmt.Errorf("the agent says it %d times, want %d: %s", n, times, a.logged())
		}
		return nil
	})
	want = met{before.moved + want.moved, before.kept + want.kept, before.reset + want.reset}
	if got := s.met(t); got != want {
		t.Errorf("open flows met %+v, want %+v", got, want)
	}
}

// tied are flows whose source is the address of the uplink that they leave by:
// two of the kernel's choice, and one that was bound, in each family.
func (s *site) tied(t *testing.T, router int) (chosen, bound []*openFlow) {
	t.Helper()
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			chosen = append(chosen, s.flow(t, string(kind)+"/"+string(f), f.job(kind, 1)))
		}
		bound = append(bound, s.flow(t, "bound/"+string(f), from(s.address(router, f.service(1).Addr()), f.job(lab.TCP, 1))))
	}
	return chosen, bound
}

// flow opens one in app.slice.
func (s *site) flow(t *testing.T, name string, job lab.Job) *openFlow {
	t.Helper()
	job = in("app.slice", job)
	job.Timeout = 5e9
	return &openFlow{name: name, node: s.Host, job: job, client: s.open(t, job)}
}

// TestFlowsOfAFailedUplink has an uplink fail under open flows, and come back:
// they meet their class's fate both times, and those that did not come back are
// shown.
func TestFlowsOfAFailedUplink(t *testing.T) {
	for fate, want := range map[string]struct{ over, back met }{
		"keep":  {met{moved: 4, kept: 4}, met{moved: 4, kept: 4}},
		"move":  {met{moved: 4, kept: 4}, met{moved: 4, kept: 4}},
		"reset": {met{reset: 8}, met{reset: 4}},
	} {
		t.Run(fate, func(t *testing.T) {
			s := newTraffic(t, lab.Options{})
			a := s.agent(t, failsOver(fate))
			s.listen(t, "app.slice", 108)
			s.goes(t, "app.slice", byB)
			var free []*openFlow
			for _, f := range bothFamilies {
				for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
					free = append(free, s.flow(t, "free", from(f.homeless(), f.job(kind, 1))))
				}
				s.accepts(t, f)
			}
			early, _ := s.tied(t, byB)
			within := s.withinHost(t)

			before := s.met(t)
			s.dead(t, byB, true)
			a.says(t, "uplink leads nowhere")
			s.meeting(t, a, 1, before, want.over)
			s.goes(t, "app.slice", byA)
			if fate == "reset" {
				s.wereReset(t, slices.Concat(free, early))
			} else {
				s.leave(t, free, byA)
			}
			s.answered(t, within)
			late, bound := s.tied(t, byA)

			before = s.met(t)
			s.dead(t, byB, false)
			a.says(t, "uplink is back")
			s.meeting(t, a, 2, before, want.back)
			s.goes(t, "app.slice", byB)
			s.leave(t, bound, byA)
			if fate == "reset" {
				s.wereReset(t, late)
				s.shown(t, nil)
				return
			}
			s.leave(t, slices.Concat(free, early), byB)
			s.leave(t, late, byA)
			s.shown(t, late)
		})
	}
}

// withinHost are flows of the host with itself.
func (s *site) withinHost(t *testing.T) (flows []*openFlow) {
	t.Helper()
	const port = 119
	must[*lab.Server](t)(s.Host.Serve(port))
	for _, to := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.2.2", "2001:db8:2::2"} {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			job := lab.Job{Kind: kind, To: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(to), port)}}
			flows = append(flows, s.flow(t, string(kind)+" to "+to, job))
		}
	}
	return flows
}

func (s *site) answered(t *testing.T, flows []*openFlow) {
	t.Helper()
	for _, o := range flows {
		if err := must[lab.Result](t)(o.client.Send(1, 16)).Err(); err != nil {
			t.Errorf("%s: %v", o.name, err)
		}
	}
}

// accepts has the far end connect to a server in app.slice.
func (s *site) accepts(t *testing.T, f ip) {
	t.Helper()
	job := lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(s.address(byA, f.service(1).Addr()), 108)}}
	c := must[*lab.Client](t)(s.Far.Open(job))
	t.Cleanup(func() { c.Close() })
	if err := c.Opened.Err(); err != nil {
		t.Fatal(err)
	}
}

func (s *site) leave(t *testing.T, flows []*openFlow, router int) {
	t.Helper()
	for _, o := range flows {
		s.drain(t)
		r := must[lab.Result](t)(o.client.Send(1, 16))
		if err := r.Err(); err != nil {
			t.Errorf("%s: %v", o.name, err)
		}
		for n, got := range s.collect(t, socketOf(o.job, r)) {
			if (n == router) != (len(got) > 0) {
				t.Errorf("%s: router %d got %v; all should pass router %d", o.name, n, got, router)
			}
		}
	}
}

func (s *site) wereReset(t *testing.T, flows []*openFlow) {
	t.Helper()
	for _, o := range flows {
		r := must[lab.Result](t)(o.client.Send(1, 16))
		if r.Errno != "ECONNABORTED" && (r.Errno != "EDESTADDRREQ" || o.job.Kind != lab.UDP) {
			t.Errorf("%s: the client says %v, want that its connection was aborted", o.name, r.Err())
		}
	}
}

// shown checks that status counts these flows as away, by a, and lists them, and
// that metrics count them too.
func (s *site) shown(t *testing.T, flows []*openFlow) {
	t.Helper()
	var want, got []string
	for _, o := range flows {
		want = append(want, fmt.Sprintf("group by a: %s > %s, %d", o.client.Opened.Local, o.job.To[0], o.client.PID()))
	}
	for _, f := range item[[]loader.OpenFlow](t, s.ok(t, "status", "--flows", "-o", "json")) {
		pid := 0
		if len(f.Holders) == 1 {
			pid = f.Holders[0].PID
		}
		if f.Cgroup != "app.slice" {
			t.Errorf("flow %s is of cgroup %s", f.Source, f.Cgroup)
		}
		got = append(got, fmt.Sprintf("%s by %s: %s > %s, %d", f.Class, f.Uplink, f.Source, f.Peer, pid))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status --flows (-want +got):\n%s", diff)
	}
	text := s.ok(t, "status")
	if said := strings.Contains(text, fmt.Sprintf("away: %d open flows of class group with uplink a's own address", len(flows))); said != (len(flows) > 0) {
		t.Errorf("status says of flows that are away:\n%s", text)
	}
	counted := uint64(0)
	for _, u := range s.metered(t).Classes[0].Traffic {
		counted += u.Away
	}
	if counted != uint64(len(flows)) {
		t.Errorf("the meter counts %d flows that are away, want %d", counted, len(flows))
	}
}
