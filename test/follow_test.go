// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"waymark/internal/lab"
)

// planned waits until the kernel holds what the policy wants of the host as
// it is by now, and what else is asked for.
func (s *site) planned(t *testing.T, also func() error) {
	t.Helper()
	soon(t, "the agent has followed", func() error {
		if err := also(); err != nil {
			return err
		}
		if drift := s.status(t).Drift; !drift.Empty() {
			return fmt.Errorf("the kernel differs: %v", drift)
		}
		return nil
	})
}

// route waits until a table has a route, or none, that a text is in.
func (s *site) route(table, text string, there bool) func() error {
	return func() error {
		out, err := s.Host.Command("ip", "route", "show", "table", table).CombinedOutput()
		if err == nil && strings.Contains(out, text) != there {
			err = fmt.Errorf("table %s: %s", table, out)
		}
		return err
	}
}

const hostPolicy = threeUplinks + `  - {name: wan, interface: wan0, gateway: 10.9.0.1}
classes:
  - {name: group, route: [b, a], match: [{cgroup: app.slice}]}
  - {name: far, route: [wan, c], match: [{cgroup: far.slice}]}
`

const wan = "ip link add wan0 type veth peer name wan1; ip addr add 10.9.0.2/24 dev wan0; ip link set wan0 up; ip link set wan1 up"

// TestAgentFollows changes the host under an agent. Nothing of it is damage.
func TestAgentFollows(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice", "far.slice")
	a := s.agent(t, hostPolicy)
	name := s.Uplink(byB).Interface

	if err := s.Host.SetLink(name, false); err != nil {
		t.Fatal(err)
	}
	s.planned(t, s.route("7001", "default", false))
	s.follow(t, "app.slice", byA)
	if err := s.Host.SetLink(name, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Host.Restore(name); err != nil {
		t.Fatal(err)
	}
	s.planned(t, s.route("7001", "default via 10.0.2.1", true))
	s.follow(t, "app.slice", byB)

	s.unplug(t, byB)
	s.follow(t, "app.slice", byA)
	if err := s.Plug(byB); err != nil {
		t.Fatal(err)
	}
	s.planned(t, s.route("7001", "default via 10.0.2.1", true))
	s.follow(t, "app.slice", byB)

	s.shell(t, "ip route replace default via 10.0.1.7 dev up-a metric 100 proto static; ip addr add 10.0.2.77/24 dev up-b")
	s.planned(t, s.route("7000", "default via 10.0.1.7", true))
	s.planned(t, func() error { return s.ruleFrom("10.0.2.77") })
	s.shell(t, "ip route replace default via 10.0.1.1 dev up-a metric 100 proto static; ip addr del 10.0.2.77/24 dev up-b")
	s.planned(t, s.route("7000", "default via 10.0.1.1", true))

	for range 2 {
		s.shell(t, wan)
		s.planned(t, s.route("7003", "default via 10.9.0.1 dev wan0", true))
		link := must[netlink.Link](t)(s.Host.Handle().LinkByName("wan1"))
		if _, err := os.Stat(filepath.Join(s.pins(), fmt.Sprintf("ingress-%d", link.Attrs().Index))); err != nil {
			t.Errorf("an interface that came has no hook: %v", err)
		}
		if _, err := os.Stat(filepath.Join(s.pins(), "egress-3")); err != nil {
			t.Errorf("an uplink that came has no hook: %v", err)
		}
		s.seen.add(t, s.pins())
		s.shell(t, "ip link del wan0")
		s.planned(t, s.route("7003", "default", false))
	}
	if r := s.record(t); len(r.Last) > 0 {
		t.Errorf("the host's own changes count as damage: %v", r.Last)
	}
	s.seen.add(t, s.pins())
	a.stop(t)
}

// ruleFrom is nil when a rule of ours selects a source.
func (s *site) ruleFrom(source string) error {
	out, err := s.Host.Command("ip", "rule", "show", "from", netip.MustParseAddr(source).String()).CombinedOutput()
	if err == nil && !strings.Contains(out, "lookup 7001") {
		err = fmt.Errorf("no rule from %s: %s", source, out)
	}
	return err
}
