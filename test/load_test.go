// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
	"waymark/loader"
)

// TestLoad has a thousand classes send at once by three uplinks, some of them to
// a server that answers, while an agent keeps watch, is scraped and shows its page.
// To the packet and byte, each class has what its sockets sent, by its uplink, and
// all together have what the routers' interfaces carried. With -long, the agent
// takes no more than a fiftieth of a core, and no more memory than before.
func TestLoad(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.sink(t)
	s.mark(t)
	a := s.agentOn(t, append(s.write(t, portClasses()), "--listen", exporterAddress)...)
	f := s.flood(t)
	watch := s.look(t, a)
	before := s.balanceSheet(t)
	f.pour(t)
	watch.end(t)
	soon(t, "the counters are what the interfaces carried", func() error { return s.balanceSheet(t).differs(before) })
	t.Logf("the routers' interfaces carried %v", since(before.carried, s.carried(t, false)))
	s.onlyWhatWasSent(t, f)
	a.stop(t)
}

// portClasses are a thousand classes by destination port, by four routes.
func portClasses() string {
	var b strings.Builder
	b.WriteString("mark: {mask: 0xb73f0000}\n" + threeUplinks + "classes:\n")
	for n := range thousand {
		fmt.Fprintf(&b, "  - {name: class-%d, %s, match: [{proto: udp, dport: %d}]}\n", n, routes[n%len(routes)].text, firstPort+n)
	}
	return b.String()
}

// A balanceSheet is what the interfaces and the meter have counted, by uplink and
// direction.
type balanceSheet struct {
	carried, counted map[string]count
	lost             map[string]uint64 // packets that an uplink let go, and its cable had no room for
}

// balanceSheet reads all of it while nothing comes or goes.
func (s *site) balanceSheet(t *testing.T) balanceSheet {
	t.Helper()
	for {
		b := balanceSheet{s.carried(t, false), s.exchanged(t, v4), map[string]uint64{}}
		for name, c := range s.exchanged(t, v6) {
			b.counted[name] = count{b.counted[name].Packets + c.Packets, b.counted[name].Bytes + c.Bytes}
		}
		for n := range s.Routers {
			b.lost["out by "+s.Uplink(n).Name] = must[lab.Stats](t)(s.Host.Stats(s.Uplink(n).Interface)).TxDropped
		}
		if cmp.Equal(b.carried, s.carried(t, false)) {
			return b
		}
	}
}

// differs says where the meter differs from the interfaces, of what came after an
// earlier sheet. What a cable had no room for was counted before it was lost, and
// of such only the number is known.
func (b balanceSheet) differs(before balanceSheet) error {
	carried, counted := since(before.carried, b.carried), since(before.counted, b.counted)
	for name, c := range carried {
		if lost := b.lost[name] - before.lost[name]; lost > 0 {
			carried[name] = count{c.Packets + lost, counted[name].Bytes}
		}
	}
	for name, c := range carried {
		if c.Packets == 0 {
			return fmt.Errorf("nothing went %s: nothing was tested", name)
		}
	}
	if diff := cmp.Diff(carried, counted); diff != "" {
		return fmt.Errorf("not what the interfaces carried (-interfaces +meter):\n%s", diff)
	}
	return nil
}

// onlyWhatWasSent holds each class, as status and the exporter show it, against what
// its socket sent.
func (s *site) onlyWhatWasSent(t *testing.T, f *flood) {
	t.Helper()
	want := tally{}
	for n := range thousand {
		want.add(fmt.Sprintf("class-%d", n), s.Uplink(routes[n%len(routes)].router).Name, count{f.each, f.each * f.size(n)})
	}
	got := s.counted(t)
	delete(got, loader.Unclassed)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status does not say what was sent (-sent +status):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.scraped(t)); diff != "" {
		t.Errorf("the exporter does not say what was sent (-sent +exporter):\n%s", diff)
	}
	for _, c := range s.status(t).Classes {
		for _, u := range c.Counts {
			if u.Misroutes+u.Repaired+u.Dropped+u.Foreign > 0 {
				t.Errorf("%s by %s: %+v", c.Name, u.Uplink, u.Counters)
			}
		}
	}
}
