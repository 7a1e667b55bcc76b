// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func to4(service int, port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(Service4(service), port)}
}

func to6(service int, port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(Service6(service), port)}
}

// addresses drops the ports of replies.
func addresses(replies []string) (list []string) {
	for _, r := range replies {
		if a, err := netip.ParseAddrPort(r); err == nil {
			r = a.Addr().String()
		}
		list = append(list, r)
	}
	return list
}

func TestHostReachesFarByUplinkA(t *testing.T) {
	l := newLab(t, Options{})
	must[*Server](t)(l.Far.Serve(7))
	a := l.Uplink(0)
	jobs := map[string]Job{
		"tcp4":       {Kind: TCP, To: to4(1, 7)},
		"tcp6":       {Kind: TCP, To: to6(1, 7)},
		"tcp mapped": {Kind: TCP, To: to4(2, 7), Mapped: true},
		"mptcp4":     {Kind: MPTCP, To: to4(1, 7)},
		"mptcp6":     {Kind: MPTCP, To: to6(1, 7)},
		"udp4":       {Kind: UDP, To: to4(3, 7), Count: 1, Size: 10},
		"udp6":       {Kind: UDP, To: to6(3, 7), Count: 1, Size: 10},
		"udp mapped": {Kind: UDP, To: to4(3, 7), Mapped: true, Count: 1},
		"sendto4":    {Kind: SendTo, To: to4(4, 7), Count: 1},
		"sendto6":    {Kind: SendTo, To: to6(4, 7), Count: 1},
		"ping4":      {Kind: Ping, To: to4(1, 0), Count: 1, Size: 56},
		"ping6":      {Kind: Ping, To: to6(1, 0), Count: 1, Size: 56},
		"raw ping4":  {Kind: RawPing, To: to4(1, 0), Count: 1, Size: 57},
		"raw ping6":  {Kind: RawPing, To: to6(1, 0), Count: 1, Size: 57},
	}
	for name, job := range jobs {
		t.Run(name, func(t *testing.T) {
			r := must[Result](t)(l.Host.Run(job))
			check(t, r.Err())
			want := []string{a.Address4.String()}
			if job.To[0].Addr().Is6() {
				want = []string{a.Address6.String()}
			}
			if diff := cmp.Diff(want, addresses(r.Replies)); diff != "" {
				t.Errorf("who far saw (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryServiceIsBehindEveryRouter(t *testing.T) {
	l := newLab(t, Options{Uplinks: 3, AllDefaults: true})
	must[*Server](t)(l.Far.Serve(7))
	for i := range 3 {
		u := l.Uplink(i)
		for s := range Services {
			t.Run(fmt.Sprint(u.Name, s+1), func(t *testing.T) {
				for _, to := range [][]netip.AddrPort{to4(s+1, 7), to6(s+1, 7)} {
					r := must[Result](t)(l.Host.Run(Job{Kind: UDP, To: to, Device: u.Interface, Count: 1}))
					check(t, r.Err())
					if got := r.Local.Addr(); got != u.Address4 && got != u.Address6 {
						t.Errorf("local address %s, want one of uplink %s", got, u.Name)
					}
				}
			})
		}
	}
}

func TestBehindTheHost(t *testing.T) {
	l := newLab(t, Options{LAN: true, Container: true, Forward: true})
	must[*Server](t)(l.Far.Serve(7))
	tests := []struct {
		node *Node
		to   []netip.AddrPort
		want string
	}{
		{l.LAN, to4(1, 7), "192.168.50.100"},
		{l.LAN, to6(1, 7), "2001:db8:50::100"},
		{l.Container, to4(1, 7), "172.30.0.2"},
		{l.Container, to6(1, 7), "2001:db8:30::2"},
	}
	for _, tt := range tests {
		t.Run(tt.node.Name+" "+tt.to[0].String(), func(t *testing.T) {
			r := must[Result](t)(tt.node.Run(Job{Kind: TCP, To: tt.to}))
			check(t, r.Err())
			if diff := cmp.Diff([]string{tt.want}, addresses(r.Replies)); diff != "" {
				t.Errorf("who far saw (-want +got):\n%s", diff)
			}
		})
	}
	if bare := newLab(t, Options{}); bare.LAN != nil || bare.Container != nil {
		t.Error("a lab has what its options did not ask for")
	}
}

func TestHostDefaults(t *testing.T) {
	tests := map[string]struct {
		options  Options
		defaults int
		filter   string
	}{
		"one default": {Options{}, 1, "0"},
		"all":         {Options{AllDefaults: true, Uplinks: 3, RPFilter: 2}, 3, "2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, tt.options)
			for _, family := range []string{"-4", "-6"} {
				routes := must[string](t)(l.Host.Command("ip", family, "route").Output())
				if got := strings.Count(routes, "default via"); got != tt.defaults {
					t.Errorf("ip %s: %d default routes, want %d:\n%s", family, got, tt.defaults, routes)
				}
			}
			filter := must[string](t)(l.Host.ReadSysctl("net/ipv4/conf/up-b/rp_filter"))
			if filter != tt.filter {
				t.Errorf("rp_filter of up-b is %s, want %s", filter, tt.filter)
			}
		})
	}
}

func TestCarrierLoss(t *testing.T) {
	l := newLab(t, Options{AllDefaults: true})
	must[*Server](t)(l.Far.Serve(7))
	check(t, l.Host.Sysctl("net.ipv4.conf.all.ignore_routes_with_linkdown", "1"))
	source := func() netip.Addr {
		r := must[Result](t)(l.Host.Run(Job{Kind: TCP, To: to4(1, 7)}))
		check(t, r.Err())
		return r.Local.Addr()
	}
	unplug := func() error {
		err := l.Unplug(0)
		eventually(t, "the host knows that the link is down", func() bool {
			return strings.Contains(must[string](t)(l.Host.Command("ip", "route").Output()), "linkdown")
		})
		return err
	}
	wire := must[*Capture](t)(l.Routers[0].Capture("down"))
	for _, step := range []struct {
		name string
		do   func() error
		want netip.Addr
	}{
		{"plugged", func() error { return nil }, l.Uplink(0).Address4},
		{"unplugged", unplug, l.Uplink(1).Address4},
		{"plugged again", func() error { return l.Plug(0) }, l.Uplink(0).Address4},
		{"host's end down", func() error { return l.Host.SetLink("up-a", false) }, l.Uplink(1).Address4},
		{"up, not restored", func() error { return l.Host.SetLink("up-a", true) }, l.Uplink(1).Address4},
		{"restored", func() error { return l.Host.Restore("up-a") }, l.Uplink(0).Address4},
	} {
		check(t, step.do())
		if got := source(); got != step.want {
			t.Errorf("%s: connected from %s, want %s", step.name, got, step.want)
		}
	}
	// The capture was there before the carrier went, and hears on.
	_, err := wire.Wait(3, settleTime, func(p Packet) bool { return p.Proto == unix.IPPROTO_TCP && p.TCPFlags == 2 })
	check(t, err)
}

func TestLinkLocalGateway(t *testing.T) {
	l := newLab(t, Options{})
	must[*Server](t)(l.Far.Serve(7))
	b := l.Uplink(1)
	way := "default via " + b.LinkLocal.String() + " dev " + b.Interface + " metric 1"
	check(t, l.Host.Command("ip", strings.Fields("-6 route add "+way)...).Run())
	wire := must[*Capture](t)(b.Router.Capture("down"))
	r := must[Result](t)(l.Host.Run(Job{Kind: UDP, To: to6(1, 7), Count: 1}))
	check(t, r.Err())
	if packets := must[[]Packet](t)(wire.Wait(1, settleTime, nil)); len(packets) != 1 || r.Local.Addr() != b.Address6 {
		t.Errorf("from %s by %v, want one datagram from %s", r.Local, packets, b.Address6)
	}
}

// The kernel defers carrier events of a veth whose ends have one index.
func TestSlowCarrierSharesTheIndex(t *testing.T) {
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprint(slow), func(t *testing.T) {
			l := newLab(t, Options{SlowCarrier: slow})
			for i, router := range l.Routers {
				down := must[netlink.Link](t)(router.link("down")).Attrs().Index
				up := must[netlink.Link](t)(l.Host.link(l.Uplink(i).Interface)).Attrs().Index
				if (down == up) != slow {
					t.Errorf("uplink %d: indexes %d and %d, want the same: %v", i, down, up, slow)
				}
			}
		})
	}
}
