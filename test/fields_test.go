// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// TestFieldsAreAnded has matches with several fields, and sockets that lack
// one of them each. The third match is on an address of the host's own that
// no uplink has.
func TestFieldsAreAnded(t *testing.T) {
	for _, f := range ips {
		t.Run(string(f), func(t *testing.T) {
			s := newSite(t, lab.Options{LAN: true})
			s.cgroups(t, "app.slice")
			s.apply(t, twoUplinks+`
classes:
  - name: anded
    route: [b]
    match:
      - {cgroup: app.slice, proto: udp, dport: 7, uid: 0}
      - {proto: tcp, dst: [203.0.113.2/31, "2001:db8:f::2/127"], dport: [1, 5-9], sport: 20000-20100}
      - {src: [192.168.50.1, "2001:db8:50::1"], dst: [203.0.113.4, "2001:db8:f::4"], proto: [tcp, udp]}
      - {proto: udp, dst: [203.0.113.3, "2001:db8:f::3"], sport: 20005}
`)
			for _, port := range []uint16{8, 9, 10} {
				must[*lab.Server](t)(s.Far.Serve(port))
			}
			for _, c := range andedCases(f) {
				t.Run(c.name, func(t *testing.T) { s.leaves(t, c.job, c.router) })
			}
			for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
				t.Run("all of the third/"+string(kind), func(t *testing.T) {
					s.send(t, s.Host, from(f.lan(), f.job(kind, 4))).left(t, byB, f.lan())
				})
			}
			t.Run("all of the third/sendto", func(t *testing.T) {
				s.send(t, s.Host, from(f.lan(), f.job(lab.SendTo, 4))).left(t, byB, f.lan())
			})
			t.Run("port alone/sendto", func(t *testing.T) {
				s.leaves(t, fromPort(20005, toPort(7, f.job(lab.SendTo, 3))), byB)
			})
			t.Run("all of the third but the destination", func(t *testing.T) {
				s.send(t, s.Host, from(f.lan(), f.job(lab.TCP, 3))).left(t, byA, f.lan())
			})
		})
	}
}

type andedCase struct {
	name   string
	job    lab.Job
	router int
}

func andedCases(f ip) []andedCase {
	in := func(cgroup string, uid uint32, job lab.Job) lab.Job {
		job.Cgroup, job.UID, job.GID = cgroup, uid, uid
		return job
	}
	return []andedCase{
		{"all of the first", in("app.slice/x", 0, f.job(lab.UDP, 1)), byB},
		{"all of the first, unconnected", in("app.slice/x", 0, f.job(lab.SendTo, 1)), byB},
		{"another protocol", in("app.slice", 0, f.job(lab.TCP, 1)), byA},
		{"another cgroup", in("other.slice", 0, f.job(lab.UDP, 1)), byA},
		{"another user", in("app.slice", 7, f.job(lab.UDP, 1)), byA},
		{"another port", in("app.slice", 0, toPort(8, f.job(lab.UDP, 1))), byA},
		{"all of the second", fromPort(20000, f.job(lab.TCP, 3)), byB},
		{"port before the source ports", fromPort(19999, f.job(lab.TCP, 3)), byA},
		{"last of the source ports", fromPort(20100, f.job(lab.TCP, 3)), byB},
		{"port behind the source ports", fromPort(20101, f.job(lab.TCP, 3)), byA},
		{"no source port", f.job(lab.TCP, 3), byA},
		{"second, by UDP", fromPort(20001, f.job(lab.UDP, 3)), byA},
		{"outside the prefix", fromPort(20002, f.job(lab.TCP, 4)), byA},
		{"last of the destination ports", fromPort(20003, toPort(9, f.job(lab.TCP, 2))), byB},
		{"behind the destination ports", fromPort(20004, toPort(10, f.job(lab.TCP, 2))), byA},
		{"all of the third but the source", f.job(lab.UDP, 4), byA},
	}
}

// toPort sends the job to another port.
func toPort(port uint16, job lab.Job) lab.Job {
	job.To = []netip.AddrPort{netip.AddrPortFrom(job.To[0].Addr(), port)}
	return job
}

// fromPort binds the job's socket to a port.
func fromPort(port uint16, job lab.Job) lab.Job {
	any := netip.IPv6Unspecified()
	if job.To[0].Addr().Is4() && !job.Mapped {
		any = netip.IPv4Unspecified()
	}
	job.Bind = netip.AddrPortFrom(any, port)
	return job
}

// from binds the job's socket to an address.
func from(source netip.Addr, job lab.Job) lab.Job {
	job.Bind = netip.AddrPortFrom(source, 0)
	return job
}

// lan is the host's address towards its LAN.
func (f ip) lan() netip.Addr {
	if f == v6 {
		return netip.MustParseAddr("2001:db8:50::1")
	}
	return netip.MustParseAddr("192.168.50.1")
}
