// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// bySource is source-based routing: a's address by a, b's by c, and c's by
// nobody's word.
const bySource = threeUplinks + `
classes:
  - {name: group, route: [c], otherwise: unreachable, match: [{cgroup: app.slice}]}
  - {name: own, route: [a], match: [{src: [10.0.1.2, "2001:db8:1::2"]}]}
  - {name: crossed, route: [c], otherwise: unreachable, match: [{src: [10.0.2.2, "2001:db8:2::2"]}]}
`

// TestConnectionsFromEachAddress binds sockets to each uplink's address.
func TestConnectionsFromEachAddress(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, bySource)
	for uplink, router := range []int{byA, byC, byC} {
		for _, f := range ips {
			source := s.address(uplink, f.service(1).Addr())
			for _, kind := range everyKind {
				if isPing(kind) && f == mapped {
					continue
				}
				t.Run(fmt.Sprintf("from uplink %d/%s/%s", uplink, kind, f), func(t *testing.T) {
					needKind(t, s.Host, kind)
					s.send(t, s.Host, from(source, f.job(kind, 1))).left(t, router, source)
				})
			}
			t.Run(fmt.Sprintf("from uplink %d/source of one datagram/%s", uplink, f), func(t *testing.T) {
				job := f.job(lab.SendTo, 1)
				job.Source = source
				s.send(t, s.Host, job).left(t, router, source)
			})
		}
	}
	for uplink := range 3 {
		for _, f := range ips {
			// A class does not part a socket from the uplink of its address.
			source := s.address(uplink, f.service(1).Addr())
			for _, kind := range everyKind {
				if isPing(kind) && f == mapped {
					continue
				}
				t.Run(fmt.Sprintf("from uplink %d/in a class/%s/%s", uplink, kind, f), func(t *testing.T) {
					needKind(t, s.Host, kind)
					s.send(t, s.Host, in("app.slice", from(source, f.job(kind, 1)))).left(t, uplink, source)
				})
			}
			t.Run(fmt.Sprintf("from uplink %d/in a class/source of one datagram/%s", uplink, f), func(t *testing.T) {
				job := in("app.slice", f.job(lab.SendTo, 1))
				job.Source = source
				s.send(t, s.Host, job).left(t, uplink, source)
			})
		}
	}
	for _, f := range ips {
		for _, kind := range withDestination {
			t.Run(fmt.Sprintf("bound to nothing/%s/%s", kind, f), func(t *testing.T) {
				needKind(t, s.Host, kind)
				s.leaves(t, f.job(kind, 1), byA)
			})
		}
	}
}

// TestConnectionsToEachAddress has the far server as the client, of servers
// that no hook has seen, of one in a class, and of the kernel's echo.
func TestConnectionsToEachAddress(t *testing.T) {
	for name, options := range map[string]lab.Options{
		"rp_filter off":    {Uplinks: 3},
		"rp_filter strict": {Uplinks: 3, RPFilter: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, options)
			s.cgroups(t, "app.slice")
			s.apply(t, bySource)
			must[*lab.Server](t)(s.Host.Serve(8))
			s.listen(t, "app.slice/server", 9)
			streams := []lab.Kind{lab.TCP, lab.MPTCP, lab.UDP}
			s.answersEach(t, "unclassed server", 8, streams, []int{byA, byC, byC})
			s.answersEach(t, "classed server", 9, streams, []int{byA, byB, byC})
			s.answersEach(t, "classed server that names no source", 10, []lab.Kind{lab.UDP}, []int{byA, byB, byC})
			s.answersEach(t, "echo", 0, []lab.Kind{lab.Ping}, []int{byA, byC, byC})
		})
	}
}

// answersEach asks a port on the address of each uplink, and checks by which
// routers the answers come.
func (s *site) answersEach(t *testing.T, name string, port uint16, kinds []lab.Kind, routers []int) {
	t.Helper()
	for uplink, router := range routers {
		for _, f := range []ip{v4, v6} {
			for _, kind := range kinds {
				t.Run(fmt.Sprintf("%s/to uplink %d/%s/%s", name, uplink, kind, f), func(t *testing.T) {
					needKind(t, s.Host, kind)
					to := netip.AddrPortFrom(s.address(uplink, f.service(1).Addr()), port)
					s.answers(t, s.Far, lab.Job{Kind: kind, To: []netip.AddrPort{to}}, router)
				})
			}
		}
	}
}

// TestNeighboursAreAnsweredDirectly has a container and a LAN host talk to
// every address of the host: no router sees any of it.
func TestNeighboursAreAnsweredDirectly(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3, LAN: true, Container: true, Forward: true})
	s.cgroups(t, "app.slice")
	s.apply(t, bySource+`
  - {name: lan, route: [b], otherwise: unreachable, match: [{src: [192.168.50.0/24, "2001:db8:50::/64"]}]}
`)
	must[*lab.Server](t)(s.Host.Serve(8))
	s.listen(t, "app.slice/server", 9)
	addresses := []string{"192.168.50.1", "2001:db8:50::1", "172.30.0.1", "2001:db8:30::1"}
	for uplink := range 3 {
		addresses = append(addresses, s.Uplink(uplink).Address4.String(), s.Uplink(uplink).Address6.String())
	}
	for _, node := range []*lab.Node{s.Container, s.LAN} {
		for _, to := range addresses {
			for _, c := range []struct {
				kind lab.Kind
				port uint16
			}{{lab.TCP, 8}, {lab.UDP, 8}, {lab.TCP, 9}, {lab.UDP, 9}, {lab.Ping, 0}} {
				t.Run(fmt.Sprintf("%s/%s/%s %d", node.Name, to, c.kind, c.port), func(t *testing.T) {
					to := netip.AddrPortFrom(netip.MustParseAddr(to), c.port)
					s.answers(t, node, lab.Job{Kind: c.kind, To: []netip.AddrPort{to}}, -1)
				})
			}
		}
	}
	t.Run("what is forwarded goes by its source", func(t *testing.T) {
		for _, f := range []ip{v4, v6} {
			for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.Ping} {
				lan := map[ip]string{v4: "192.168.50.100", v6: "2001:db8:50::100"}[f]
				container := map[ip]string{v4: "172.30.0.2", v6: "2001:db8:30::2"}[f]
				s.send(t, s.LAN, f.job(kind, 1)).left(t, byB, netip.MustParseAddr(lan))
				s.send(t, s.Container, f.job(kind, 1)).left(t, byA, netip.MustParseAddr(container))
			}
		}
	})
}
