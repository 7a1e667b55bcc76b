// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
	"waymark/loader"
)

const fragmentAt = 6 // in the header of IPv4

// TestWatchTellsOfWhatIsClassedAtEgress has packets of no socket of ours:
// what became of each is told, under the class that it got on its way out.
func TestWatchTellsOfWhatIsClassedAtEgress(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	w := s.watch(t)
	for i, f := range bothFamilies {
		in1, in3 := f.service(1).Addr(), f.service(3).Addr()
		for n, c := range []struct {
			name, iface          string
			source, to           netip.Addr
			dport                uint16
			kind, class, by, why string
		}{
			{"begins on its way", "up-c", f.homeless(), in3, 7, loader.EventOpened, "tuple", "c", ""},
			{"repaired", "up-a", f.homeless(), in3, 7, loader.EventRepaired, "tuple", "a", "late mark"},
			{"and begins there", "up-a", f.homeless(), in3, 7, loader.EventOpened, "tuple", "c", ""},
			{"cannot be repaired", "up-a", s.address(byA, in1), in3, 7, loader.EventMisrouted, "tuple", "a", "source pinned"},
			{"would leak", "up-a", s.address(byA, in1), in1, 9, loader.EventRefused, "port", "a", "source pinned"},
		} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				d := datagram{from: c.source, to: c.to, sport: uint16(2000 + 10*i + n), dport: c.dport}
				s.inject(t, s.Host, c.iface, d.bytes())
				source := netip.AddrPortFrom(d.from, d.sport).String()
				e := w.tells(t, c.kind, func(e loader.Event) bool { return e.Source == source })
				if e.Class != c.class || e.Uplink != c.by || e.Cause != c.why || e.Proto != "udp" {
					t.Errorf("it is told as %+v", e)
				}
			})
		}
	}
	// Behind an extension header there are ports, too; a later fragment has none, and begins nothing.
	behind := datagram{from: v6.homeless(), to: v6.service(3).Addr(), sport: 3000, dport: 7, options: []byte{unix.IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0}}
	d := datagram{from: v4.homeless(), to: v4.service(3).Addr(), sport: 3001, dport: 7}
	first, later := d.bytes(), d.bytes()
	first[fragmentAt], later[fragmentAt+1] = 0x20, 1
	s.inject(t, s.Host, "up-c", first, later)
	s.inject(t, s.Host, "up-c", behind.bytes())
	w.tells(t, loader.EventOpened, func(e loader.Event) bool {
		return e.Source == netip.AddrPortFrom(behind.from, behind.sport).String() && e.Proto == "udp"
	})
	w.ends(t)
	for _, e := range w.all() {
		if e.Proto == "udp" && e.Source == d.from.String() {
			t.Errorf("a later fragment is told as %+v", e)
		}
	}
	s.nothingWatches(t)
}

// TestWatchTellsOfRefusals has datagrams of a class that may not leak, whose
// sockets were open before it was applied, while it has no way at all.
func TestWatchTellsOfRefusals(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	clients := map[ip]*lab.Client{}
	for _, f := range bothFamilies {
		job := in("closed.slice", from(f.homeless(), f.job(lab.UDP, 1)))
		job.NoReply = true
		clients[f] = s.open(t, job)
	}
	s.apply(t, traffic)
	if err := s.Unplug(byB); err != nil {
		t.Fatal(err)
	}
	w := s.watch(t, "--class", "closed")
	for _, f := range bothFamilies {
		s.sendOne(t, clients[f])
		e := w.tells(t, loader.EventRefused, func(e loader.Event) bool { return e.Peer == f.service(1).String() })
		if e.Class != "closed" || e.Uplink != "a" || e.Cause != "no route" || e.Packets != 1 || e.Cgroup != "closed.slice" {
			t.Errorf("%s: it is told as %+v", f, e)
		}
	}
	w.ends(t)
	s.nothingWatches(t)
	if err := s.Plug(byB); err != nil {
		t.Fatal(err)
	}
	for _, f := range bothFamilies { // which the router lost with its link
		addRoute(t, s.Routers[byB], netip.PrefixFrom(f.homeless(), f.homeless().BitLen()), s.address(byB, f.homeless()))
	}
}

// TestWatchTellsOfWhatItCannot stops a watch while more happens than there is
// room for: what it could not tell is counted, and what it tells later is right.
func TestWatchTellsOfWhatItCannot(t *testing.T) {
	const flows = 12000
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	w := s.watch(t)
	if err := w.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	packets := make([][]byte, flows)
	for n := range packets {
		packets[n] = datagram{from: v4.homeless(), to: v4.service(3).Addr(), sport: uint16(2000 + n), dport: 8}.bytes()
	}
	s.inject(t, s.Host, "up-c", packets...)
	if err := w.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var untold uint64
	soon(t, "all is told, or counted", func() error {
		told := uint64(0)
		untold = 0
		for _, e := range w.all() {
			switch e.Kind {
			case loader.EventOpened:
				told++
			case loader.EventUntold:
				untold += e.Packets
			}
		}
		if told+untold != flows {
			return fmt.Errorf("%d flows are told, and %d not, of %d", told, untold, flows)
		}
		return nil
	})
	if untold == 0 {
		t.Error("nothing is untold")
	}
	last := datagram{from: v4.homeless(), to: v4.service(3).Addr(), sport: 1999, dport: 8}
	s.inject(t, s.Host, "up-c", last.bytes())
	w.tells(t, loader.EventOpened, func(e loader.Event) bool {
		return e.Source == netip.AddrPortFrom(last.from, last.sport).String()
	})
	w.ends(t)
	s.nothingWatches(t)
}
