// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/lab"
	"waymark/loader"
)

// TestExplainSocket asks for sockets that are open, by their own end: ones that are in
// their class, that a move left where they were or took along, and that no class has.
func TestExplainSocket(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "bulk.slice", "exec.slice", "other.slice")
	s.apply(t, moveable)
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			t.Run(fmt.Sprintf("%s %s", kind, f), func(t *testing.T) {
				defer s.ok(t, "move", "--undo", "bulk.slice")
				job := in("bulk.slice", from(f.homeless(), f.job(kind, 1)))
				o := s.open(t, job)
				s.explained(t, o, job, "bulk", "b", "bulk")
				s.ok(t, "move", "bulk.slice", "exec", "--existing", "keep")
				s.explained(t, o, job, "bulk", "b", "exec")
				after := s.open(t, job)
				s.explained(t, after, job, "exec", "c", "exec")
				s.ok(t, "move", "bulk.slice", "unclassed", "--existing", "move")
				s.explained(t, after, job, loader.Unclassed, "a", loader.Unclassed)
				free := in("other.slice", f.job(kind, 1))
				s.explained(t, s.open(t, free), free, loader.Unclassed, "a", loader.Unclassed)
			})
		}
	}
	t.Run("not told apart", func(t *testing.T) {
		job := in("bulk.slice", v4.job(lab.UDP, 1))
		job.Bind = netip.AddrPortFrom(v4.homeless(), 7007)
		s.open(t, job)
		other := in("bulk.slice", v4.job(lab.TCP, 2))
		other.Bind = job.Bind
		s.open(t, other)
		end := job.Bind.String()
		if o := s.waymark(t, "explain", "--socket", end); o.code != 1 || !strings.Contains(o.stderr, "2 have that end (tcp to "+other.To[0].String()+", udp to "+job.To[0].String()+"): choose with --proto, --dst and --dport") {
			t.Errorf("exit %d: %s", o.code, o.stderr)
		}
		for _, choice := range [][]string{{"--proto", "udp"}, {"--dst", job.To[0].Addr().String()}} {
			x := item[loader.Explanation](t, s.ok(t, append([]string{"explain", "--socket", end, "-o", "json"}, choice...)...))
			if x.Socket.Proto != "udp" || x.Question.Sport != 7007 || x.Question.Src != job.Bind.Addr() {
				t.Errorf("%s: %+v, asked as %+v", choice, *x.Socket, x.Question)
			}
		}
	})
}

// explained checks what explain says of an open socket: the class that it leaves as,
// the uplink, and the class of a new one like it.
func (s *site) explained(t *testing.T, c *lab.Client, job lab.Job, leaves, uplink, class string) {
	t.Helper()
	x := item[loader.Explanation](t, s.ok(t, "explain", "--socket", c.Opened.Local.String(), "--proto", string(job.Kind), "-o", "json"))
	got := x.Socket
	as := got.Class
	if got.As != "" {
		as = got.As
	}
	if as != leaves || got.Uplink != uplink || x.Class != class || got.Cgroup != job.Cgroup || got.Peer != job.To[0].String() {
		t.Errorf("leaves as %s by %s, a new one has %s; want %s by %s, and %s: %+v", as, got.Uplink, x.Class, leaves, uplink, class, *got)
	}
	if len(got.Holders) != 1 || got.Holders[0].PID != c.PID() {
		t.Errorf("held by %v, want %d", got.Holders, c.PID())
	}
	way := x.Ways[0]
	if len(x.Ways) != 1 || len(way.Differs) > 0 || way.Verdict.Uplink != uplink {
		t.Errorf("ways %+v, want one by %s", x.Ways, uplink)
	}
}
