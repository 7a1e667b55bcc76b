// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// TestApplicationsChoice has classed sockets that are bound to a device or to
// an uplink's address: they leave there, and that is no misroute.
func TestApplicationsChoice(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		connection := in("closed.slice", f.job(lab.TCP, 1))
		connection.Device = "up-a"
		t.Run(fmt.Sprintf("device in closed.slice/tcp/%s", f), func(t *testing.T) { s.leaves(t, connection, byA) })
		for _, kind := range []lab.Kind{lab.UDP, lab.SendTo, lab.Ping, lab.RawPing} {
			for _, cgroup := range []string{"app.slice", "closed.slice"} {
				class := map[string]string{"app.slice": "group a", "closed.slice": "closed a"}[cgroup]
				device := in(cgroup, f.job(kind, 1))
				device.Device = "up-a"
				t.Run(fmt.Sprintf("device in %s/%s/%s", cgroup, kind, f), func(t *testing.T) {
					s.account(t, ledger{class: misrouted(1, chosen)}, func() { s.leaves(t, device, byA) })
				})
				t.Run(fmt.Sprintf("address in %s/%s/%s", cgroup, kind, f), func(t *testing.T) {
					bound := in(cgroup, from(s.address(byA, f.service(1).Addr()), f.job(kind, 1)))
					s.account(t, ledger{class: misrouted(1, chosen)}, func() { s.leaves(t, bound, byA) })
				})
			}
		}
	}
}

// TestNoMisroute has classed sockets reach what is on another uplink's link,
// or behind it by a route of main's that is no default.
func TestNoMisroute(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	addRoute(t, s.Host, netip.PrefixFrom(lab.Service4(4), 32), s.Uplink(byA).Gateway4)
	addRoute(t, s.Host, netip.PrefixFrom(lab.Service6(4), 128), s.Uplink(byA).Gateway6)
	must[*lab.Server](t)(s.Routers[byA].Serve(servicePort))
	s.apply(t, traffic)
	for _, f := range ips {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			t.Run(fmt.Sprintf("on the link/%s/%s", kind, f), func(t *testing.T) {
				job := in("app.slice", f.job(kind, 1))
				u := s.Uplink(byA)
				gateway := map[ip]string{v4: u.Gateway4.String(), v6: u.Gateway6.String(), mapped: u.Gateway4.String()}[f]
				job = toAddress(gateway, job)
				s.account(t, ledger{}, func() { s.leaves(t, job, byA) })
			})
			t.Run(fmt.Sprintf("by a route of main/%s/%s", kind, f), func(t *testing.T) {
				s.account(t, ledger{}, func() { s.leaves(t, in("closed.slice", f.job(kind, 4)), byA) })
			})
		}
	}
}
