// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// toAddress sends the job to another address, at the same port.
func toAddress(to string, job lab.Job) lab.Job {
	job.To = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(to), job.To[0].Port())}
	return job
}

// open opens a job's socket on the host, which has to succeed, until the test ends.
func (s *site) open(t *testing.T, job lab.Job) *lab.Client {
	t.Helper()
	c := must[*lab.Client](t)(s.Host.Open(job))
	if err := c.Opened.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sends has an open socket send one message, and looks at the routers.
func (s *site) sends(t *testing.T, job lab.Job, c *lab.Client) trip {
	t.Helper()
	s.drain(t)
	r := must[lab.Result](t)(c.Send(1, 16))
	return trip{r, s.collect(t, socketOf(job, r))}
}

// stays checks that packets of an open socket leave by a router, from an address.
func (p trip) stays(t *testing.T, router int, source netip.Addr) {
	t.Helper()
	if err := p.Err(); err != nil {
		t.Errorf("%v; at the routers: %v", err, p.at)
	}
	for n, packets := range p.at {
		for _, packet := range packets {
			if n != router || packet.Src.Addr() != source {
				t.Errorf("router %d got %v; all should pass router %d from %s", n, packet, router, source)
			}
		}
	}
	if router >= 0 && len(p.at[router]) == 0 {
		t.Errorf("router %d got nothing", router)
	}
}

// TestOpenedBeforeApply opens sockets, then applies, then sends on.
func TestOpenedBeforeApply(t *testing.T) {
	for _, f := range ips {
		t.Run(string(f), func(t *testing.T) {
			s := newTraffic(t, lab.Options{})
			cases := openedCases(f)
			clients := make([]*lab.Client, len(cases))
			for i, c := range cases {
				clients[i] = s.open(t, c.job)
			}
			s.apply(t, traffic)
			for i, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					s.account(t, c.counted, func() {
						trip := s.sends(t, c.job, clients[i])
						if c.router < 0 {
							if trip.Errno != "ETIMEDOUT" {
								t.Errorf("the client says %v, want no answer", trip.Err())
							}
							trip.Errno = ""
						}
						source := s.address(byA, c.job.To[0].Addr())
						if c.job.Bind.IsValid() {
							source = c.job.Bind.Addr()
						} else if c.fresh {
							source = s.address(c.router, c.job.To[0].Addr())
						}
						trip.stays(t, c.router, source)
					})
				})
			}
		})
	}
}

type openedCase struct {
	name    string
	job     lab.Job
	router  int
	fresh   bool // its source is that of the uplink it leaves by
	counted ledger
}

// openedCases: a connection's source cannot change, so one from an uplink's
// address stays there.
func openedCases(f ip) []openedCase {
	homeless := func(job lab.Job) lab.Job { return from(f.homeless(), job) }
	cases := []openedCase{
		{name: "UDP, unclassed", job: f.job(lab.UDP, 1), router: byA},
		{name: "TCP, unclassed", job: f.job(lab.TCP, 1), router: byA},
		{name: "UDP, unconnected", job: in("app.slice", f.job(lab.SendTo, 1)), router: byB, fresh: true},
		{name: "UDP, unconnected, by destination", job: f.job(lab.SendTo, 3), router: byC, fresh: true},
		{name: "UDP from another uplink", job: in("app.slice", f.job(lab.UDP, 1)), router: byA,
			counted: ledger{"group a": misrouted(1, pinned)}},
		{name: "UDP from another uplink, by destination", job: f.job(lab.UDP, 3), router: byA,
			counted: ledger{"tuple a": misrouted(1, pinned)}},
		{name: "UDP from another uplink, no leak", job: in("closed.slice", f.job(lab.UDP, 1)), router: -1,
			counted: ledger{"closed a": dropped(misrouted(1, pinned))}},
		{name: "UDP from no uplink's address", job: in("app.slice", homeless(f.job(lab.UDP, 1))), router: byB,
			counted: ledger{"group a": repaired(misrouted(1, before))}},
		{name: "UDP from no uplink's address, no leak", job: in("closed.slice", homeless(f.job(lab.UDP, 1))), router: byB,
			counted: ledger{"closed a": repaired(misrouted(1, before))}},
		{name: "TCP from no uplink's address", job: in("app.slice", homeless(f.job(lab.TCP, 1))), router: byB},
		{name: "TCP from no uplink's address, by destination", job: homeless(f.job(lab.TCP, 3)), router: byC},
	}
	for i := range cases {
		if cases[i].counted == nil {
			cases[i].counted = ledger{}
		}
		cases[i].job.Timeout = 500e6
	}
	return cases
}

// TestConnectionsOpenedBeforeApply has TCP from an uplink's address: it
// stays there whatever its class, or is not let out if that would be a leak.
func TestConnectionsOpenedBeforeApply(t *testing.T) {
	for _, f := range ips {
		t.Run(string(f), func(t *testing.T) {
			s := newTraffic(t, lab.Options{})
			open := in("app.slice", f.job(lab.TCP, 1))
			closed := in("closed.slice", f.job(lab.TCP, 1))
			closed.Timeout = 500e6
			c, d := s.open(t, open), s.open(t, closed)
			s.apply(t, traffic)
			s.sends(t, open, c).stays(t, byA, s.address(byA, f.service(1).Addr()))
			if n := s.books(t)["group a"].Causes.Pinned; n == 0 {
				t.Error("the packets left behind were not counted")
			}
			trip := s.sends(t, closed, d)
			if trip.Errno == "" {
				t.Error("the class's traffic leaks, and is answered")
			}
			trip.Errno = ""
			trip.stays(t, -1, netip.Addr{})
			if n := s.books(t)["closed a"]; n.Dropped == 0 || n.Dropped != n.Misroutes {
				t.Errorf("the class that must not leak counts %+v", n)
			}
		})
	}
}

// TestWalk says what apply did with the sockets it found open.
func TestWalk(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	var want string
	for _, f := range ips {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			s.open(t, in("app.slice", f.job(kind, 1)))
			s.open(t, f.job(kind, 3))
			s.open(t, f.job(kind, 1))
		}
	}
	s.mark(t)
	out := s.ok(t, append([]string{"apply", "-o", "json"}, s.write(t, traffic)...)...)
	s.seen.add(t, s.pins())
	sockets := item[struct {
		Sockets struct{ Marked, Noted, Inbound, Failed uint64 } `json:"sockets"`
	}](t, out).Sockets
	want = "{6 6 0 0}"
	if got := fmt.Sprint(sockets); got != want {
		t.Errorf("marked, noted, inbound, failed: %s, want %s", got, want)
	}
}
