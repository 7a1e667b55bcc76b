// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/lab"
)

const translated = `
uplinks:
  - {name: a, interface: up-a, symmetric: false}
  - {name: b, interface: up-b, gateway: [10.0.2.1, "2001:db8:2::1"], snat: true, symmetric: false}
  - {name: c, interface: up-c, gateway: [10.0.3.1, "2001:db8:3::1"], snat: [10.0.3.77-10.0.3.78], symmetric: false}
classes:
  - {name: range, route: [c], match: [{iif: br-lan, dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: guests, route: [b], match: [{iif: br-lan}]}
`

// TestSNAT has a machine behind the host leave by uplinks that give it another
// source, and by one that does not; and finds the answers.
func TestSNAT(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3, LAN: true, Forward: true})
	s.shell(t, "nft add table inet theirs; nft add chain inet theirs c; ip addr add 10.0.3.77/32 dev up-c; ip addr add 10.0.3.78/32 dev up-c")
	s.foreigners = append(s.foreigners, func() error {
		return s.Host.Command("sh", "-ec", "nft delete table inet theirs; ip addr del 10.0.3.77/32 dev up-c; ip addr del 10.0.3.78/32 dev up-c").Run()
	})
	s.apply(t, translated)
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			s.send(t, s.LAN, f.job(kind, 1)).left(t, byB, s.address(byB, f.job(kind, 1).To[0].Addr()))
		}
	}
	trip := s.send(t, s.LAN, v4.job(lab.TCP, 3))
	for _, p := range trip.at[byC] {
		if a := p.Src.Addr(); a != netip.MustParseAddr("10.0.3.77") && a != netip.MustParseAddr("10.0.3.78") {
			t.Errorf("router c got %s, want it from the range", p)
		}
	}
	if len(trip.at[byC]) == 0 || trip.Err() != nil {
		t.Errorf("router c got %v: %v", trip.at[byC], trip.Err())
	}
	s.send(t, s.LAN, v6.job(lab.TCP, 3)).left(t, byC, s.Uplink(byC).Address6)

	// Applied again it changes nothing; the plan that is printed is what nft prints.
	if again := s.apply(t, translated); again.Changed {
		t.Errorf("applied again: %+v", again.Changes)
	}
	for _, want := range []string{`oifname "up-b" meta nfproto ipv4 masquerade`, `oifname "up-c" meta nfproto ipv4 snat ip to 10.0.3.77-10.0.3.78`} {
		if plan := s.ok(t, append([]string{"plan"}, s.write(t, translated)...)...); !strings.Contains(plan, want) {
			t.Errorf("the plan does not say %q", want)
		}
		if listed, err := s.Host.Command("nft", "list", "table", "inet", "waymark").Output(); err != nil || !strings.Contains(listed, want) {
			t.Errorf("nft does not list %q: %v\n%s", want, err, listed)
		}
	}

	// A policy without it takes the table away, and nobody else's.
	s.apply(t, strings.NewReplacer(", snat: true", "", ", snat: [10.0.3.77-10.0.3.78]", "").Replace(translated))
	if listed, err := s.Host.Command("nft", "list", "tables").Output(); err != nil || listed != "table inet theirs\n" {
		t.Errorf("the tables are %q: %v", listed, err)
	}
	s.send(t, s.LAN, v4.job(lab.TCP, 2)).left(t, byB, v4.inside(s.LAN))

	// And so does down.
	s.apply(t, translated)
	s.ok(t, "down")
	if listed, err := s.Host.Command("nft", "list", "tables").Output(); err != nil || listed != "table inet theirs\n" {
		t.Errorf("after down the tables are %q: %v", listed, err)
	}
}

// TestSNATIsHealed has somebody change the table beside an agent.
func TestSNATIsHealed(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3, LAN: true, Forward: true})
	a := s.agent(t, translated)
	for _, damage := range []string{"nft flush table inet waymark", "nft delete table inet waymark",
		"nft insert rule inet waymark postrouting accept"} {
		before := a.logged()
		s.shell(t, damage)
		soon(t, "the table is put back after "+damage, func() error {
			if log := strings.TrimPrefix(a.logged(), before); !strings.Contains(log, "kind=nat") {
				return errors.New("not yet")
			}
			return nil
		})
		soon(t, "the rules are there", func() error {
			listed, err := s.Host.Command("nft", "list", "table", "inet", "waymark").Output()
			if err == nil && (strings.Count(listed, "oifname") != 4 || strings.Contains(listed, "\t\taccept")) {
				err = errors.New("not yet")
			}
			return err
		})
	}
}
