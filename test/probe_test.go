// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// probed is a policy whose uplinks both ask the far server.
func probed(hold string) string {
	const targets = "probe: {icmp: [203.0.113.1, \"2001:db8:f::1\"], tcp: [\"203.0.113.1:7\"], interval: 100ms, hold: "
	return "uplinks:\n" +
		"  - {name: a, interface: up-a, " + targets + hold + "}}\n" +
		"  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"], " + targets + hold + "}}\n" + `
classes:
  - {name: group, route: [a, b], match: [{cgroup: app.slice}]}
  - {name: only, route: [a], otherwise: unreachable, match: [{cgroup: only.slice}]}
  - {name: shared, route: {a: 1, b: 1}, match: [{cgroup: shared.slice}]}
`
}

// dead has the router of an uplink forward nothing, behind a link that is up.
func (s *site) dead(t *testing.T, router int, dead bool) {
	t.Helper()
	value := map[bool]string{true: "0", false: "1"}[dead]
	for _, name := range []string{"net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding"} {
		if err := s.Routers[router].Sysctl(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeadGateway has a gateway lead nowhere: every class takes its next
// uplink, with that one's address, or is refused; and goes back when it leads
// somewhere again. Meanwhile the probes go by the dead uplink and no other.
func TestDeadGateway(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "only.slice", "shared.slice")
	a := s.agent(t, probed("1s"))
	s.goes(t, "app.slice", byA)

	s.dead(t, byA, true)
	a.says(t, "uplink leads nowhere")
	s.goes(t, "app.slice", byB)
	for _, f := range []ip{v4, v6} {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			s.leaves(t, in("app.slice", f.job(kind, 1)), byB)
			s.leaves(t, in("shared.slice", f.job(kind, 1)), byB)
		}
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			if r, err := s.Host.Run(in("only.slice", f.job(kind, 1))); err != nil || r.Errno != "ENETUNREACH" {
				t.Errorf("%s %s of a class without another way: %v %v, want ENETUNREACH", kind, f, r, err)
			}
		}
	}
	s.probesStay(t)
	before := s.record(t).Probes[0].Targets[0].Sent
	must[[]lab.Packet](t)(s.captures[byA].Wait(30, time.Minute, isEcho))
	if now := s.record(t).Probes[0].Targets[0].Sent; now == before {
		t.Errorf("while no verdict changes, nothing of the probes is told: %d were sent", now)
	}
	if text := s.ok(t, "status"); !strings.Contains(text, "withdrawn") || !strings.Contains(text, "uplink a leads nowhere since") {
		t.Errorf("status does not say that a is withdrawn:\n%s", text)
	}

	s.dead(t, byA, false)
	a.says(t, "uplink is back")
	s.goes(t, "app.slice", byA)
	s.leaves(t, in("only.slice", v4.job(lab.TCP, 1)), byA)
	s.leaves(t, in("only.slice", v6.job(lab.TCP, 1)), byA)
}

// probesStay checks that probes of either uplink pass the router whose
// address they have.
func (s *site) probesStay(t *testing.T) {
	t.Helper()
	for router, capture := range s.captures {
		packets, err := capture.Wait(6, time.Minute, isEcho)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets {
			if u := s.Uplink(router); p.Src.Addr() != u.Address4 && p.Src.Addr() != u.Address6 {
				t.Errorf("router %d got a probe of another uplink: %s", router, p)
			}
		}
	}
}

// TestLastUplinkStays has all gateways lead nowhere.
func TestLastUplinkStays(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "only.slice", "shared.slice")
	a := s.agent(t, probed("100ms"))
	s.goes(t, "app.slice", byA)
	s.dead(t, byA, true)
	s.goes(t, "app.slice", byB)
	s.dead(t, byB, true)
	a.says(t, "no uplink passes its probes; b stays, for it did last")
	soon(t, "its record says so, too", func() error {
		if r := s.record(t); r == nil || !strings.Contains(strings.Join(r.Problems, "\n"), "b stays") {
			return fmt.Errorf("it says %+v", r)
		}
		return nil
	})
	if text := a.logged(); strings.Contains(text, "its classes take their next one\" uplink=b") {
		t.Errorf("b stays, and is said to be left:\n%s", text)
	}
	s.goes(t, "app.slice", byB)
	s.dead(t, byA, false)
	s.goes(t, "app.slice", byA)
	s.dead(t, byB, false)
}

// An uplink that is not probed, whose link is up, and that has no address to send
// from, is no other way: the one that leads nowhere stays beside it.
func TestLastUplinkWithAddressStays(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "only.slice", "shared.slice")
	policy, unprobed, _ := strings.Cut(probed("100ms"), "  - {name: b,")
	_, unprobed, _ = strings.Cut(unprobed, "\n")
	a := s.agent(t, policy+"  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"]}\n"+unprobed)
	s.goes(t, "only.slice", byA)
	s.shell(t, "ip -4 addr flush dev up-b; ip -6 addr flush dev up-b scope global")
	s.hasDefaults(t, 0)
	s.dead(t, byA, true)
	a.says(t, "no uplink passes its probes; a stays, for it did last")
	s.goes(t, "only.slice", byA)
	s.dead(t, byA, false)
	s.check(t, s.Host.Restore("up-b"))
}

// What was withdrawn stays so while no agent runs, through an apply, and until
// the policy has it probed no more.
func TestWithdrawnOutlivesTheAgent(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "only.slice", "shared.slice")
	a := s.agent(t, probed("1s"))
	s.dead(t, byA, true)
	s.goes(t, "app.slice", byB)
	a.stop(t)
	s.apply(t, probed("2s"))
	s.leaves(t, in("app.slice", v4.job(lab.TCP, 1)), byB)
	s.dead(t, byA, false)
	s.apply(t, twoUplinks+"classes: [{name: group, route: [a, b], match: [{cgroup: app.slice}]}]\n")
	s.leaves(t, in("app.slice", v4.job(lab.TCP, 1)), byA)
}
