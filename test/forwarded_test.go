// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

const forwarded = threeUplinks + `
classes:
  - {name: tagged, route: [c], match: [{iif: ctr0.10}]}
  - {name: port, route: [c], otherwise: unreachable, match: [{iif: br-lan, proto: udp, dport: 9}, {proto: tcp, sport: 20000-20010}]}
  - {name: tuple, route: [c], match: [{dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: pair, route: [b], match: [{src: [172.30.0.2, "2001:db8:30::2"], dst: [203.0.113.2, "2001:db8:f::2"]}]}
  - {name: guests, route: [b], match: [{iif: br-lan}]}
`

// inside is the address of a machine behind the host.
func (f ip) inside(n *lab.Node) netip.Addr {
	return netip.MustParseAddr(map[string]string{
		"lan IPv4": "192.168.50.100", "lan IPv6": "2001:db8:50::100",
		"container IPv4": "172.30.0.2", "container IPv6": "2001:db8:30::2",
	}[n.Name+" "+string(f)])
}

// TestForwarded has machines behind the host, by a bridge and by a plain
// veth, whose packets are classed as they come in.
func TestForwarded(t *testing.T) {
	s := newTraffic(t, lab.Options{LAN: true, Container: true, Forward: true})
	s.apply(t, forwarded)
	must[*lab.Server](t)(s.Far.Serve(9))
	large := func(job lab.Job) lab.Job {
		job.Count, job.Size = 2, 4000
		return job
	}
	for i, f := range bothFamilies {
		port := func(n int) uint16 { return uint16(20000 + n + 2*i) } // the other family's waits for its end
		for _, c := range []struct {
			name   string
			from   *lab.Node
			job    lab.Job
			router int
		}{
			{"bridge", s.LAN, f.job(lab.TCP, 1), byB},
			{"bridge", s.LAN, f.job(lab.UDP, 1), byB},
			{"bridge", s.LAN, f.job(lab.Ping, 1), byB},
			{"bridge, in fragments", s.LAN, large(f.job(lab.UDP, 1)), byB},
			{"bridge and port", s.LAN, toPort(9, f.job(lab.UDP, 1)), byC},
			{"bridge and port, in fragments", s.LAN, large(toPort(9, f.job(lab.UDP, 1))), byC},
			{"bridge and another protocol", s.LAN, toPort(9, f.job(lab.TCP, 1)), byB},
			{"bridge and destination", s.LAN, f.job(lab.TCP, 3), byC},
			{"destination", s.Container, f.job(lab.TCP, 3), byC},
			{"destination", s.Container, f.job(lab.Ping, 3), byC},
			{"destination, in fragments", s.Container, large(f.job(lab.UDP, 3)), byC},
			{"source and destination", s.Container, f.job(lab.TCP, 2), byB},
			{"destination without the source", s.LAN, f.job(lab.UDP, 2), byB},
			{"source port", s.Container, fromPort(port(0), f.job(lab.TCP, 1)), byC},
			{"another source port", s.Container, fromPort(port(11), f.job(lab.TCP, 1)), byA},
			{"another interface", s.Container, toPort(9, f.job(lab.UDP, 1)), byA},
			{"nothing", s.Container, f.job(lab.TCP, 1), byA},
		} {
			t.Run(fmt.Sprintf("%s/%s/%s", c.name, c.job.Kind, f), func(t *testing.T) {
				s.account(t, ledger{}, func() { s.send(t, c.from, c.job).left(t, c.router, f.inside(c.from)) })
			})
		}
	}
}

// TestForwardedOptions has packets whose ports lie behind IPv4 options and
// IPv6 extension headers.
func TestForwardedOptions(t *testing.T) {
	s := newTraffic(t, lab.Options{LAN: true, Container: true, Forward: true})
	s.apply(t, forwarded)
	pad := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	headers := append(append(pad(unix.IPPROTO_DSTOPTS), pad(unix.IPPROTO_DSTOPTS)...), pad(unix.IPPROTO_UDP)...)
	for _, f := range bothFamilies {
		options := map[ip][]byte{v4: {1, 1, 1, 1, 1, 1, 1, 0}, v6: headers}[f]
		for port, router := range map[uint16]int{9: byC, 10: byB} {
			t.Run(fmt.Sprintf("port %d/%s", port, f), func(t *testing.T) {
				d := datagram{from: f.inside(s.LAN), to: f.service(1).Addr(), sport: 5, dport: port, options: options}
				s.account(t, ledger{}, func() {
					s.arrives(t, d.to, router, d.from, func() { s.inject(t, s.LAN, "eth0", d.bytes()) })
				})
			})
		}
	}
}

// TestForwardedTagged has a VLAN on the container's link.
func TestForwardedTagged(t *testing.T) {
	s := newTraffic(t, lab.Options{Container: true, Forward: true})
	for _, end := range []struct {
		node      *lab.Node
		iface     string
		four, six string
	}{{s.Host, "ctr0", "172.31.0.1/24", "2001:db8:31::1/64"}, {s.Container, "eth0", "172.31.0.2/24", "2001:db8:31::2/64"}} {
		addTag(t, end.node, end.iface)
		addAddress(t, end.node, end.iface+".10", netip.MustParsePrefix(end.four))
		addAddress(t, end.node, end.iface+".10", netip.MustParsePrefix(end.six))
	}
	addRoute(t, s.Container, netip.MustParsePrefix("203.0.113.0/24"), netip.MustParseAddr("172.31.0.1"))
	addRoute(t, s.Container, netip.MustParsePrefix("2001:db8:f::/64"), netip.MustParseAddr("2001:db8:31::1"))
	s.apply(t, forwarded+"  - {name: plain, route: [b], match: [{iif: ctr0}]}\n")
	for _, f := range bothFamilies {
		for _, c := range []struct {
			name, source4, source6 string
			router                 int
		}{{"tagged", "172.31.0.2", "2001:db8:31::2", byC}, {"untagged", "172.30.0.2", "2001:db8:30::2", byB}} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				source := netip.MustParseAddr(map[ip]string{v4: c.source4, v6: c.source6}[f])
				// To where nobody answers: an answer may come when the socket is gone, and be refused.
				job := from(source, toPort(9, f.job(lab.SendTo, 1)))
				job.NoReply, job.Count, job.Size = true, 1, 16
				if c.name == "untagged" {
					job.Device = "eth0"
				}
				s.arrives(t, job.To[0].Addr(), c.router, source, func() {
					if r := must[lab.Result](t)(s.Container.Run(job)); r.Err() != nil {
						t.Error(r.Err())
					}
				})
			})
		}
	}
}

// TestContainers has processes in classed cgroups, and of classed users, in
// namespaces behind a veth, with and without a bridge.
func TestContainers(t *testing.T) {
	s := newTraffic(t, lab.Options{LAN: true, Container: true, Forward: true})
	s.apply(t, traffic+"  - {name: user, route: [c], match: [{uid: 2000}]}\n")
	for _, node := range []*lab.Node{s.Container, s.LAN} {
		for f, kind := range sockets(everyKind) {
			source := f
			if f == mapped {
				source = v4
			}
			byUser := f.job(kind, 1)
			byUser.UID, byUser.GID = 2000, 2000
			for _, c := range append(behindTheHost(f, kind), classedJob{"user", byUser, byC}) {
				if c.name == "user" && kind == lab.RawPing {
					continue // needs root
				}
				t.Run(fmt.Sprintf("%s/%s/%s/%s", node.Name, c.name, kind, f), func(t *testing.T) {
					needKind(t, node, kind)
					s.send(t, node, c.job).left(t, c.router, source.inside(node))
				})
			}
		}
	}
}

// A classedJob is a job, and the router of its class.
type classedJob struct {
	name   string
	job    lab.Job
	router int
}

// behindTheHost are jobs of a node behind the host, one for each thing that gives
// what it sends a class, under the policy traffic.
func behindTheHost(f ip, kind lab.Kind) []classedJob {
	return []classedJob{
		{"cgroup", in("app.slice/docker/x", f.job(kind, 1)), byB},
		{"no leak", in("closed.slice", f.job(kind, 1)), byB},
		{"destination", in("app.slice", f.job(kind, 3)), byC},
		{"nothing", f.job(kind, 1), byA},
	}
}

// addTag adds VLAN 10 to an interface.
func addTag(t *testing.T, n *lab.Node, iface string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = iface+".10", must[netlink.Link](t)(n.Handle().LinkByName(iface)).Attrs().Index
	tag := &netlink.Vlan{LinkAttrs: attrs, VlanId: 10}
	if err := n.Handle().LinkAdd(tag); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("the kernel has no VLANs")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := n.Handle().LinkSetUp(tag); err != nil {
		t.Fatal(err)
	}
}
