// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"waymark/internal/lab"
)

// fallbacks has the same first uplink everywhere, and every kind of word
// for when it is gone.
const fallbacks = threeUplinks + `
classes:
  - {name: next, route: [b, c], match: [{cgroup: next.slice}, {dst: [203.0.113.2, "2001:db8:f::2"]}]}
  - {name: main, route: [b], match: [{cgroup: main.slice}, {dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: none, route: [b], otherwise: unreachable, match: [{cgroup: unreachable.slice}, {dst: [203.0.113.4, "2001:db8:f::4"]}]}
  - {name: prohibited, route: [b], otherwise: prohibit, match: [{cgroup: prohibit.slice}]}
  - {name: dropped, route: [b], otherwise: blackhole, match: [{cgroup: blackhole.slice}]}
`

var fallbackCgroups = []string{"next.slice", "main.slice", "unreachable.slice", "prohibit.slice", "blackhole.slice"}

func newFallbackSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, lab.Options{Uplinks: 3, LAN: true})
	s.cgroups(t, fallbackCgroups...)
	s.apply(t, fallbacks)
	s.late(t, "add")
	t.Cleanup(func() { s.late(t, "del") })
	must[*lab.Server](t)(s.Host.Serve(servicePort))
	must[*lab.Server](t)(s.LAN.Serve(servicePort))
	s.allBy(t, "at first", byB)
	return s
}

// TestLinkDown takes the first uplink's link down on the host, which costs
// it its routes: they come back with the next apply.
func TestLinkDown(t *testing.T) {
	s := newFallbackSite(t)
	up := func(up bool) {
		t.Helper()
		if err := s.Host.SetLink(s.Uplink(byB).Interface, up); err != nil {
			t.Fatal(err)
		}
	}
	up(false)
	s.fallsBack(t, "link down")
	up(true)
	if err := s.Host.Restore(s.Uplink(byB).Interface); err != nil {
		t.Fatal(err)
	}
	if a := s.apply(t, fallbacks); !a.Changed {
		t.Error("apply found nothing to do after the link came back")
	}
	s.allBy(t, "link up", byB)
}

// TestAppliedWhileDown applies with the link down, and again after.
func TestAppliedWhileDown(t *testing.T) {
	s := newFallbackSite(t)
	if err := s.Host.SetLink(s.Uplink(byB).Interface, false); err != nil {
		t.Fatal(err)
	}
	s.apply(t, fallbacks)
	s.fallsBack(t, "link down")
	if err := s.Host.SetLink(s.Uplink(byB).Interface, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Host.Restore(s.Uplink(byB).Interface); err != nil {
		t.Fatal(err)
	}
	s.apply(t, fallbacks)
	s.allBy(t, "link up", byB)
}

// TestCarrierLost takes the carrier away, at the router's end, and gives it
// back: nobody has to do anything.
func TestCarrierLost(t *testing.T) {
	s := newFallbackSite(t)
	for range 2 {
		s.unplug(t, byB)
		s.fallsBack(t, "unplugged")
		if err := s.Plug(byB); err != nil {
			t.Fatal(err)
		}
		s.allBy(t, "plugged", byB)
	}
}

// unplug takes an uplink's carrier away, and waits until the host has noticed:
// on a busy machine the kernel takes its time.
func (s *site) unplug(t *testing.T, uplink int) {
	t.Helper()
	if err := s.Unplug(uplink); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the carrier is lost", func() error {
		link, err := s.Host.Handle().LinkByName(s.Uplink(uplink).Interface)
		if err == nil && link.Attrs().OperState != netlink.OperLowerLayerDown && link.Attrs().OperState != netlink.OperDown {
			err = fmt.Errorf("the link is %s", link.Attrs().OperState)
		}
		return err
	})
}

// allBy checks that every class goes by one uplink.
func (s *site) allBy(t *testing.T, when string, router int) {
	t.Helper()
	s.noProcess(t)
	for _, f := range ips {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			for _, cgroup := range fallbackCgroups {
				t.Run(fmt.Sprintf("%s/%s/%s/%s", when, cgroup, kind, f), func(t *testing.T) {
					job := f.job(kind, 1)
					job.Cgroup = cgroup
					s.leaves(t, job, router)
				})
			}
			for service := 2; service <= 4; service++ {
				t.Run(fmt.Sprintf("%s/to service %d/%s/%s", when, service, kind, f), func(t *testing.T) {
					s.leaves(t, f.job(kind, service), router)
				})
			}
		}
	}
}

// fallsBack checks what becomes of new flows while the first uplink is gone.
func (s *site) fallsBack(t *testing.T, when string) {
	t.Helper()
	s.noProcess(t)
	s.staysHome(t, when)
	for _, f := range ips {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			for _, c := range []struct {
				cgroup  string
				service int
				router  int
				errno   string
			}{
				{"next.slice", 1, byC, ""},
				{"main.slice", 1, byA, ""},
				{"unreachable.slice", 1, 0, "ENETUNREACH"},
				{"prohibit.slice", 1, 0, "EACCES"},
				{"blackhole.slice", 1, 0, "EINVAL"},
				{"", 2, byC, ""},
				{"", 3, byA, ""},
				{"", 4, 0, "ENETUNREACH"},
			} {
				t.Run(fmt.Sprintf("%s/%s to service %d/%s/%s", when, c.cgroup, c.service, kind, f), func(t *testing.T) {
					job := f.job(kind, c.service)
					job.Cgroup = c.cgroup
					if c.errno != "" {
						s.fails(t, job, c.errno)
						return
					}
					s.leaves(t, job, c.router)
				})
			}
		}
	}
	var refused, unreachable uint64
	sample := s.metered(t)
	for _, c := range sample.Classes {
		tally := tallyOf(t, sample, c.Name)
		refused, unreachable = refused+tally.SendErrors, unreachable+tally.Connections.Unreachable
	}
	if refused == 0 || unreachable == 0 {
		t.Errorf("%s: %d datagrams and %d connections that hooks refused were counted, want some", when, refused, unreachable)
	}
}

// fails checks that a job fails at once, and that no router got anything.
func (s *site) fails(t *testing.T, job lab.Job, errno string) {
	t.Helper()
	job.Timeout = 300 * time.Millisecond // what comes later than the call is no answer to it
	trip := s.send(t, s.Host, job)
	if trip.Errno != errno {
		t.Errorf("%s: %q, want %s", trip.Call, trip.Errno, errno)
	}
	for n, packets := range trip.at {
		if len(packets) > 0 {
			t.Errorf("router %d got %v, want nothing", n, packets)
		}
	}
}

// noProcess checks that none of ours is at work on the host behind the rules'
// back.
func (s *site) noProcess(t *testing.T) {
	t.Helper()
	host := fmt.Sprintf("net:[%d]", s.Host.Inode())
	exes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range exes {
		netns, _ := os.Readlink(filepath.Join(filepath.Dir(exe), "ns/net"))
		if target, err := os.Readlink(exe); err == nil && netns == host && strings.HasPrefix(target, binary(t)) {
			t.Errorf("%s is a running waymark", exe)
		}
	}
}
