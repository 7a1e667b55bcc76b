// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

const (
	resetPort = 9  // where the far server resets what it has accepted
	otherPort = 12 // where it answers, too
)

// TestConnections makes TCP connections come to every end there is, and looks
// whether each was counted, once, and as what it was.
func TestConnections(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	// A connect gives up after a second and two more, a connection after less.
	s.shell(t, "echo 1 > /proc/sys/net/ipv4/tcp_syn_retries; echo 2 > /proc/sys/net/ipv4/tcp_retries2")
	for _, f := range bothFamilies {
		s.routes(t, "add", "blackhole", f.service(4).Addr())
		s.routes(t, "add", "unreachable", f.nowhere().Addr())
	}
	s.apply(t, fourClasses)
	s.resets(t)
	must[*lab.Server](t)(s.Far.Serve(otherPort))
	for _, f := range bothFamilies {
		var want datapath.Connections
		before := tallyOf(t, s.metered(t), "group").Connections
		t.Run(string(f), func(t *testing.T) {
			for name, e := range endings {
				want = addConnections(want, e.want)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					e.do(t, s, f)
				})
			}
		})
		var got datapath.Connections
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && got != want; time.Sleep(10 * time.Millisecond) {
			got = connectionsSince(before, tallyOf(t, s.metered(t), "group").Connections)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
		s.routes(t, "del", "blackhole", f.service(3).Addr())
	}
}

// endings are what may become of a connection, each with how it comes to it.
var endings = map[string]struct {
	want datapath.Connections
	do   func(t *testing.T, s *site, f ip)
}{
	"closed": {datapath.Connections{Opened: 1, Closed: 1}, func(t *testing.T, s *site, f ip) {
		s.connects(t, f.service(1), "")
	}},
	"refused": {datapath.Connections{Refused: 1}, func(t *testing.T, s *site, f ip) {
		s.connects(t, netip.AddrPortFrom(f.service(1).Addr(), 11), "ECONNREFUSED")
	}},
	"unreachable": {datapath.Connections{Unreachable: 1}, func(t *testing.T, s *site, f ip) {
		// bash waits in connect(2), and takes no note of the first answer, which
		// comes before that has begun to wait and is no error yet.
		to := f.nowhere()
		c := s.Host.Command("bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", to.Addr(), to.Port())).In("app.slice")
		if err := c.Run(); err == nil {
			t.Errorf("connected to %s, where nothing is", to)
		}
	}},
	"timed out": {datapath.Connections{TimedOut: 1}, func(t *testing.T, s *site, f ip) {
		s.connects(t, f.service(4), "ETIMEDOUT")
	}},
	"given up": {datapath.Connections{Failed: 1}, func(t *testing.T, s *site, f ip) {
		job := lab.Job{Kind: lab.TCP, To: []netip.AddrPort{f.service(4)}, Cgroup: "app.slice", Timeout: 50 * time.Millisecond}
		must[lab.Result](t)(s.Host.Run(job))
	}},
	"reset by its peer": {datapath.Connections{Opened: 1, Closed: 1, Aborted: 1}, func(t *testing.T, s *site, f ip) {
		must[lab.Result](t)(s.Host.Run(lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(f.service(1).Addr(), resetPort)}, Cgroup: "app.slice"}))
	}},
	"lost": {datapath.Connections{Opened: 1, Closed: 1, Lost: 1}, func(t *testing.T, s *site, f ip) {
		c := s.open(t, lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(f.service(3).Addr(), otherPort)}, Cgroup: "app.slice", Timeout: 10 * time.Second})
		s.routes(t, "replace", "blackhole", f.service(3).Addr())
		if r := must[lab.Result](t)(c.Send(1, 16)); r.Errno != "ETIMEDOUT" {
			t.Errorf("a connection into nowhere: %v", r.Err())
		}
	}},
	"accepted": {datapath.Connections{Accepted: 1, Closed: 1}, func(t *testing.T, s *site, f ip) {
		port := map[ip]uint16{v4: 4000, v6: 4001}[f]
		s.listen(t, "app.slice", port)
		to := map[ip]netip.Addr{v4: s.Uplink(byB).Address4, v6: s.Uplink(byB).Address6}[f]
		if r := must[lab.Result](t)(s.Far.Run(lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(to, port)}})); r.Err() != nil {
			t.Error(r.Err())
		}
	}},
}

// TestConnectionLostToNowhere has a router say of an established connection
// that there is no way any more: what the connection ends with is that.
func TestConnectionLostToNowhere(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.shell(t, "echo 2 > /proc/sys/net/ipv4/tcp_retries2")
	s.apply(t, fourClasses)
	for _, f := range bothFamilies {
		before := tallyOf(t, s.metered(t), "group").Connections
		c := s.open(t, lab.Job{Kind: lab.TCP, To: []netip.AddrPort{f.service(1)}, Cgroup: "app.slice", Timeout: 10 * time.Second})
		s.routes(t, "replace", "unreachable", f.service(1).Addr())
		if r := must[lab.Result](t)(c.Send(1, 16)); r.Errno == "" || r.Errno == "ETIMEDOUT" {
			t.Errorf("%s: a connection to where there is no way: %v", f, r.Err())
		}
		s.routes(t, "del", "unreachable", f.service(1).Addr())
		want := datapath.Connections{Opened: 1, Closed: 1, Lost: 1}
		if diff := cmp.Diff(want, connectionsSince(before, tallyOf(t, s.metered(t), "group").Connections)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
	}
}

// connects has a process of the class connect, and end as it should.
func (s *site) connects(t *testing.T, to netip.AddrPort, errno string) {
	t.Helper()
	job := lab.Job{Kind: lab.TCP, To: []netip.AddrPort{to}, Cgroup: "app.slice", Timeout: 10 * time.Second}
	if r := must[lab.Result](t)(s.Host.Run(job)); r.Errno != errno {
		t.Errorf("connect to %s: %v; want %q", to, r.Err(), errno)
	}
}

// routes changes the routers' routes to an address.
func (s *site) routes(t *testing.T, verb, kind string, to netip.Addr) {
	t.Helper()
	for _, r := range s.Routers {
		must[string](t)(r.Command("ip", "route", verb, kind, to.String()).Output())
	}
}

// resets has the far server reset what connects to resetPort.
func (s *site) resets(t *testing.T) {
	t.Helper()
	var l net.Listener
	err := s.Far.Do(func() (err error) {
		l, err = net.Listen("tcp", ":9")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
}

// nowhere is an address to which the routers answer that there is no way.
func (f ip) nowhere() netip.AddrPort {
	if f == v6 {
		return netip.MustParseAddrPort("[2001:db8:dead::1]:7")
	}
	return netip.MustParseAddrPort("198.51.100.1:7")
}

func connectionsSince(before, now datapath.Connections) datapath.Connections {
	return datapath.Connections{
		Opened: now.Opened - before.Opened, Accepted: now.Accepted - before.Accepted, Closed: now.Closed - before.Closed,
		Refused: now.Refused - before.Refused, Unreachable: now.Unreachable - before.Unreachable, TimedOut: now.TimedOut - before.TimedOut,
		Failed: now.Failed - before.Failed, Aborted: now.Aborted - before.Aborted, Lost: now.Lost - before.Lost,
	}
}
