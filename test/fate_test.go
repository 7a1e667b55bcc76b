// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

// changedPolicies are a policy and two ways to send app.slice by c instead
// of b, whose open sockets meet a fate: its class gets another route, or it
// gets another class.
func changedPolicies(fate string) (before string, after map[string]string) {
	write := func(route, group, other string) string {
		return threeUplinks + "classes:\n" +
			"  - {name: group, route: [" + route + "], existing: " + fate + ", match: [" + group + "]}\n" +
			"  - {name: other, route: [c], existing: " + fate + ", match: [" + other + "]}\n"
	}
	const app, other = "{cgroup: app.slice}", "{cgroup: other.slice}"
	return write("b", app, other), map[string]string{
		"the class has another route":   write("c", app, other),
		"the sockets are another class": write("b", "{cgroup: empty.slice}", app+", "+other),
	}
}

// classAfter is the class of app.slice after each of them.
var classAfter = map[string]string{"the class has another route": "group", "the sockets are another class": "other"}

// An openFlow is an open socket, and what is expected of it.
type openFlow struct {
	name   string
	node   *lab.Node
	job    lab.Job
	client *lab.Client
	by     map[string]int // fate to router; absent: byB
	reset  bool           // by the fate reset
}

// openFlows opens every kind of socket in app.slice.
func openFlows(t *testing.T, s *site, f ip) (flows []*openFlow) {
	t.Helper()
	everywhere, moved := map[string]int{"keep": byC, "move": byC, "reset": byC}, map[string]int{"move": byC}
	homeless := func(job lab.Job) lab.Job { return from(f.homeless(), job) }
	asked := lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(s.address(byA, f.service(1).Addr()), 108)}}
	flows = []*openFlow{
		{name: "TCP that both uplinks carry", job: homeless(f.job(lab.TCP, 1)), by: moved, reset: true},
		{name: "TCP from the uplink's address", job: f.job(lab.TCP, 1), reset: true},
		{name: "UDP that both uplinks carry", job: homeless(f.job(lab.UDP, 1)), by: moved, reset: true},
		{name: "UDP from the uplink's address", job: f.job(lab.UDP, 1), reset: true},
		{name: "UDP, unconnected", job: f.job(lab.SendTo, 1), by: everywhere},
		{name: "accepted", node: s.Far, job: asked, by: map[string]int{"keep": byA, "move": byA, "reset": byA}},
		{name: "somebody else's", job: in("other.slice", homeless(f.job(lab.TCP, 1))), by: everywhere},
	}
	for _, o := range flows {
		if o.node == nil {
			o.node = s.Host
		}
		if o.job.Cgroup == "" && o.node == s.Host {
			o.job.Cgroup = "app.slice"
		}
		o.job.Timeout = 5e9
		o.client = must[*lab.Client](t)(o.node.Open(o.job))
		if err := o.client.Opened.Err(); err != nil {
			t.Fatalf("open %s: %v", o.name, err)
		}
	}
	return flows
}

// meets checks that an open socket meets its fate.
func (s *site) meets(t *testing.T, fate string, o *openFlow) {
	t.Helper()
	s.drain(t)
	r := must[lab.Result](t)(o.client.Send(1, 16))
	if fate == "reset" && o.reset {
		// A UDP socket loses its destination with its connection.
		if r.Errno != "ECONNABORTED" && (r.Errno != "EDESTADDRREQ" || o.job.Kind != lab.UDP) {
			t.Errorf("the client says %v, want that its connection was aborted", r.Err())
		}
		return
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	router, special := o.by[fate]
	if !special {
		router = byB
	}
	packets := socketOf(o.job, r)
	if o.node == s.Far {
		packets = answerTo(o.job, r)
	}
	for n, got := range s.collect(t, packets) {
		if (n == router) != (len(got) > 0) {
			t.Errorf("router %d got %v; all should pass router %d", n, got, router)
		}
	}
}

// TestFates has open sockets of every kind when their class changes: each
// fate for each of them, and what apply says of it.
func TestFates(t *testing.T) {
	for _, fate := range []string{"keep", "move", "reset"} {
		t.Run(fate, func(t *testing.T) { newTraffic(t, lab.Options{}).everyChange(t, fate) })
	}
}

// TestResetByDiag resets sockets on a kernel whose programs cannot.
func TestResetByDiag(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.by = lackingBinary(t, "internal/datapath/walker.go", "canDestroy")
	s.everyChange(t, "reset")
}

// everyChange has open sockets meet a fate by each way of changing a class.
func (s *site) everyChange(t *testing.T, fate string) {
	t.Helper()
	s.cgroups(t, "other.slice", "empty.slice")
	before, changes := changedPolicies(fate)
	s.apply(t, before)
	s.listen(t, "app.slice", 108)
	for change, after := range changes {
		t.Run(change, func(t *testing.T) { s.fates(t, fate, before, after, classAfter[change]) })
	}
}

// fates opens sockets under one policy and applies another.
func (s *site) fates(t *testing.T, fate, first, after, class string) {
	t.Helper()
	s.apply(t, first)
	flows := map[ip][]*openFlow{}
	for _, f := range bothFamilies {
		flows[f] = openFlows(t, s, f)
	}
	want := map[string]datapath.Walked{
		"keep": {Kept: 8, Inbound: 2}, "move": {Moved: 4, Pinned: 4, Inbound: 2}, "reset": {Reset: 8, Inbound: 2},
	}[fate]
	earlier, counted := s.metered(t), map[string]datapath.Tally{}
	for _, c := range earlier.Classes {
		counted[c.Name] = tallyOf(t, earlier, c.Name)
	}
	got := s.apply(t, after).Sockets
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(datapath.Walked{}, "Took")); diff != "" {
		t.Errorf("what apply says of open sockets (-want +got):\n%s", diff)
	}
	sample := s.metered(t)
	is, was := tallyOf(t, sample, class), counted[class]
	if is.Moved-was.Moved != want.Moved || is.Kept-was.Kept != want.Kept+want.Pinned+want.Inbound || is.Reset-was.Reset != want.Reset {
		t.Errorf("class %s counts %d moved, %d kept, %d reset; want %+v", class, is.Moved-was.Moved, is.Kept-was.Kept, is.Reset-was.Reset, want)
	}
	open := uint64(0)
	for _, c := range sample.Classes {
		open += c.Open
	}
	// All of them but one of each family, which is not connected.
	if want := uint64(len(flows[v4])+len(flows[v6])-2) - want.Reset; open != want {
		t.Errorf("%d flows are open, want %d", open, want)
	}
	if kept, stayed := s.kept(t), want.Kept+want.Pinned+want.Inbound; kept != stayed {
		t.Errorf("status counts %d flows that were left as they were, want %d", kept, stayed)
	}
	for f, flows := range flows {
		for _, o := range flows {
			t.Run(fmt.Sprintf("%s/%s", o.name, f), func(t *testing.T) {
				if o.job.Kind == lab.UDP && o.by[fate] == byC {
					// Its socket's mark cannot be changed from outside: every datagram is mended on its way out.
					needRepair(t)
					since := s.books(t)
					s.meets(t, fate, o)
					if got := s.booked(t, since)[class+" b"]; got != repaired(misrouted(1, before)) {
						t.Errorf("class %s counts %+v, want one datagram mended", class, got)
					}
					return
				}
				s.blameless(t, func() { s.meets(t, fate, o) })
			})
			if err := o.client.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if again := s.apply(t, after); again.Sockets.Total() != 0 {
		t.Errorf("a second apply finds %+v", again.Sockets)
	}
}

// TestKeptUntilAnotherChange keeps a connection through changes that do not
// concern it, brings it home, and moves it in the end.
func TestKeptUntilAnotherChange(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "other.slice", "empty.slice")
	before, changes := changedPolicies("keep")
	after := changes["the sockets are another class"]
	s.apply(t, before)
	job := in("app.slice", from(v4.homeless(), v4.job(lab.TCP, 1)))
	c := s.open(t, job)
	unrelated := strings.Replace(after, "{cgroup: other.slice}", "{cgroup: other.slice}, {uid: 4711}", 1)
	for _, step := range []struct {
		name, policy string
		router       int
		want         datapath.Walked
		kept         uint64
	}{
		{"another class", after, byB, datapath.Walked{Kept: 1}, 1},
		{"a change elsewhere", unrelated, byB, datapath.Walked{}, 1},
		{"home", before, byB, datapath.Walked{}, 0},
		{"away again", after, byB, datapath.Walked{Kept: 1}, 1},
		{"another class that moves", strings.Replace(after, "name: other, route: [c], existing: keep", "name: third, route: [a], existing: move", 1), byA, datapath.Walked{Moved: 1}, 0},
	} {
		got := s.apply(t, step.policy).Sockets
		if diff := cmp.Diff(step.want, got, cmpopts.IgnoreFields(datapath.Walked{}, "Took")); diff != "" {
			t.Errorf("%s: what apply says of open sockets (-want +got):\n%s", step.name, diff)
		}
		if kept := s.kept(t); kept != step.kept {
			t.Errorf("%s: status counts %d flows that were left as they were, want %d", step.name, kept, step.kept)
		}
		s.sends(t, job, c).stays(t, step.router, v4.homeless())
	}
}

// TestAcceptedBeforeApply has connections that were accepted before there were
// classes: each change that gives them another class keeps them, and says so.
func TestAcceptedBeforeApply(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "other.slice", "empty.slice")
	before, changes := changedPolicies("reset")
	s.listen(t, "app.slice", 108)
	for _, f := range bothFamilies {
		asked := lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(s.address(byA, f.service(1).Addr()), 108)}, Timeout: 5e9}
		c := must[*lab.Client](t)(s.Far.Open(asked))
		s.check(t, c.Opened.Err())
		defer func() { s.check(t, must[lab.Result](t)(c.Send(1, 16)).Err()); s.check(t, c.Close()) }()
	}
	for n, policy := range []string{before, changes["the sockets are another class"], before} {
		if got := s.apply(t, policy).Sockets; got.Inbound != 2 || got.Reset != 0 {
			t.Errorf("apply %d says %v", n+1, got)
		}
		if kept := s.kept(t); kept != 2 {
			t.Errorf("apply %d: status counts %d flows that were left as they were, want 2", n+1, kept)
		}
	}
}

// TestNumberNobodyCarries has a class go from route to route beside a connection that
// stays: the rules of a number that the last socket has left are no damage.
func TestNumberNobodyCarries(t *testing.T) {
	s := newTraffic(t, lab.Options{Uplinks: 3})
	policy := func(uplink string) string {
		return threeUplinks + fmt.Sprintf("classes:\n  - {name: app, route: [%s], match: [{cgroup: app.slice}]}\n", uplink)
	}
	s.apply(t, policy("b"))
	s.listen(t, "app.slice", 108)
	c := must[*lab.Client](t)(s.Far.Open(lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(s.address(byA, v4.service(1).Addr()), 108)}, Timeout: 5e9}))
	s.check(t, c.Opened.Err())
	defer func() { s.check(t, c.Close()) }()
	for _, uplink := range []string{"c", "b", "a"} {
		s.apply(t, policy(uplink))
		if out := s.ok(t, "status"); strings.Contains(out, "no longer holds") {
			t.Errorf("by %s: %s", uplink, out)
		}
		s.ok(t, append([]string{"verify"}, s.write(t, policy(uplink))...)...)
	}
}
