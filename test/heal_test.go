// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/lab"
	"waymark/internal/plan"
	"waymark/loader"
)

// TestHealing does every kind of damage under an agent: all is put back as it
// was, counted by its kind, and traffic goes where it went.
func TestHealing(t *testing.T) {
	s := newSite(t, lab.Options{RPFilter: 1})
	s.cgroups(t, "app.slice")
	s.shell(t, "ip addr add 198.51.100.7/32 dev lo") // filters cannot stay strict then
	a := s.agent(t, fourClasses)
	open := s.openAll(t, "app.slice")
	before, pins := s.unnumbered(t), s.objects(t).names()
	for _, c := range []struct{ name, kind, damage string }{
		{"a rule", "rule", "ip rule del priority 1001"},
		{"an IPv6 rule", "rule", "ip -6 rule del priority 1011"},
		{"every rule", "rule", "ip rule flush protocol 119; ip -6 rule flush protocol 119"},
		{"a rule too many", "rule", "ip rule add priority 1500 from 192.0.2.1 lookup main protocol 119"},
		{"a default route", "route", "ip route del default table 7001"},
		{"a route's next hop", "route", "ip route replace default via 10.0.2.3 dev up-b table 7001 protocol 119"},
		{"a table", "route", "ip route flush table 7000; ip -6 route flush table 7001"},
		{"a sysctl", "sysctl", "echo 0 > /proc/sys/net/ipv4/conf/up-b/ignore_routes_with_linkdown"},
		{"rp_filter", "sysctl", "echo 1 > /proc/sys/net/ipv4/conf/up-b/rp_filter"},
		{"the pin of a cgroup hook", "hook", "rm PINS/connect4"},
		{"the pin of an interface's hook", "hook", "rm PINS/egress-1"},
		{"the pin of a map", "pin", "rm PINS/tables PINS/counters"},
		{"the pin of the state", "pin", "rm PINS/state"},
		{"all pins", "pin", "rm PINS/*"},
		{"the directory", "pin", "rm -r PINS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			had := s.heals(t, c.kind)
			s.shell(t, strings.ReplaceAll(c.damage, "PINS", s.pins()))
			soon(t, "all is put back", func() error {
				if r := s.record(t); r == nil || r.Heals[c.kind] == had {
					return fmt.Errorf("it is not counted: %v", r)
				}
				if diff := lines(before, s.unnumbered(t)); diff != "" {
					return fmt.Errorf("the state (-before +now):\n%s", diff)
				}
				return nil
			})
			if drift := s.status(t).Drift; !drift.Empty() {
				t.Errorf("the kernel differs: %v", drift)
			}
			if diff := cmp.Diff(pins, s.objects(t).names()); diff != "" {
				t.Errorf("the pins (-before +after):\n%s", diff)
			}
			s.follow(t, "app.slice", byB)
		})
	}
	t.Run("an entry of a map", func(t *testing.T) {
		m := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapUplinks), nil))
		defer m.Close()
		had := s.heals(t, "map")
		var entry bpf.WaymarkUplinkEntry
		if err := errors.Join(m.Lookup(uint32(1), &entry), m.Put(uint32(1), bpf.WaymarkUplinkEntry{})); err != nil {
			t.Fatal(err)
		}
		soon(t, "it is put back", func() error {
			var now bpf.WaymarkUplinkEntry
			if err := m.Lookup(uint32(1), &now); err != nil || now != entry || s.heals(t, "map") == had {
				return fmt.Errorf("%v %v", now, err)
			}
			return nil
		})
		s.follow(t, "app.slice", byB)
	})
	t.Run("a mark of others that is none", func(t *testing.T) {
		m := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapWholeMarks), nil))
		defer m.Close()
		if err := m.Put(uint32(0xbeef), uint8(1)); err != nil {
			t.Fatal(err)
		}
		soon(t, "it is taken out", func() error {
			if value, err := m.LookupBytes(uint32(0xbeef)); err != nil || value != nil {
				return fmt.Errorf("%v %v", value, err)
			}
			return nil
		})
	})
	t.Run("a switch, in the moment of a rule", func(t *testing.T) {
		m := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapSwitches), nil))
		defer m.Close()
		s.shell(t, "ip rule del priority 1001")
		if err := m.Put(uint32(0), uint32(bpf.WaymarkTelemetryOffOFF_HITS)); err != nil {
			t.Fatal(err)
		}
		soon(t, "both are put back", func() error {
			var off uint32
			if err := m.Lookup(uint32(0), &off); err != nil || off != 0 {
				return fmt.Errorf("%#x %v", off, err)
			}
			if diff := lines(before, s.unnumbered(t)); diff != "" {
				return fmt.Errorf("the state (-before +now):\n%s", diff)
			}
			return nil
		})
	})
	t.Run("cells of the table", func(t *testing.T) { s.frozen(t) })
	open.stay(t, s, byB)
	out := s.ok(t, "status")
	for _, want := range []string{fmt.Sprintf("agent: process %d", a.Process.Pid), "put back ", "hook egress at up-b"} {
		if !strings.Contains(out, want) {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
	}
	s.seen.add(t, s.pins())
	a.stop(t)
}

// frozen checks that nobody can write what is in force: the cells of the
// table, the entries of cgroups, and the state.
func (s *site) frozen(t *testing.T) {
	t.Helper()
	outer, version := s.liveCgroups(t)
	tables := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapTables), nil))
	defer tables.Close()
	maps := []*ebpf.Map{must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), "state"), nil))}
	for _, o := range []*ebpf.Map{outer, tables} {
		var id ebpf.MapID
		if err := o.Lookup(version, &id); err != nil {
			t.Fatal(err)
		}
		maps = append(maps, must[*ebpf.Map](t)(ebpf.NewMapFromID(id)))
	}
	for _, m := range maps {
		defer m.Close()
		key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
		if err := m.Put(key, value); !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: a write is answered %v, want EPERM", m, err)
		}
		if err := m.Delete(key); m.Type() == ebpf.Hash && !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: a removal is answered %v, want EPERM", m, err)
		}
	}
	s.leaves(t, in("app.slice/made-since", v4.job(lab.TCP, 1)), byB)
}

// TestHeldBack heals while what somebody changed is held back: the state
// still says what the kernel holds, and the next look puts it back.
func TestHeldBack(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.shell(t, "for n in 1 2; do ip link add br-$n address 02:00:00:00:00:0$n type bridge; done; ip link add inner type veth peer name other; ip link set inner master br-1")
	s.apply(t, fourClasses)
	s.shell(t, "ip link set inner master br-2")
	held := func() plan.Changes { return s.status(t).Drift }
	before := held()
	if len(before.Attach) == 0 {
		t.Fatal("the interface's other bridge is no difference")
	}
	s.load(t, func(l *loader.Loader) error {
		_, err := l.Heal(loader.Healing{Withdrawn: map[string]string{"b": "a test"}, Choose: func(*plan.Plan, plan.Changes) plan.Changes { return plan.Changes{} }})
		return err
	})
	if diff := cmp.Diff(before.Attach, held().Attach); diff != "" {
		t.Errorf("what was held back (-before +after):\n%s", diff)
	}
	s.apply(t, fourClasses)
	if drift := held(); !drift.Empty() {
		t.Errorf("the kernel differs: %v", drift)
	}
	s.shell(t, "ip link set inner master br-1")
}

var programNumber = regexp.MustCompile(`program \d+`)

// unnumbered is the state without the kernel's numbers of programs: a hook
// that was put back has another.
func (s *site) unnumbered(t *testing.T) string {
	t.Helper()
	return programNumber.ReplaceAllString(s.state(t), "program")
}

// TestHealedInPartsIsNoDamage has an uplink come back whose hook finds no room: what
// else there is to follow is done in parts, which fill the maps as the attempt before
// them did. Nobody changed those.
func TestHealedInPartsIsNoDamage(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	iface := s.Uplink(byC).Interface
	a := s.agent(t, threeUplinks+closedGroup("b"))
	s.shell(t, fmt.Sprintf("ip link set %[1]s down; ip link set %[1]s name gone", iface))
	soon(t, "the uplink waits", func() error {
		if len(s.status(t).Waiting) == 0 {
			return errors.New("it is there")
		}
		return nil
	})
	s.before = "" // was without what is others' there
	for range 63 {
		s.attachTCX(t, "gone")
	}
	s.shell(t, fmt.Sprintf("ip link set gone name %[1]s; ip link set %[1]s up", iface))
	a.says(t, "heal: attach egress to "+iface)
	time.Sleep(3 * time.Second) // some beats
	if n := s.heals(t, "map"); n != 0 {
		t.Errorf("the maps are said to have been changed %d times", n)
	}
}
