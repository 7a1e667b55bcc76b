// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"iter"
	"testing"

	"waymark/internal/lab"
)

// TestFirstPacket says of every kind of socket, in every family, for every
// way of being in a class, that already its first packet leaves by the
// class's uplink with that uplink's source address.
func TestFirstPacket(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, threeUplinks+`
classes:
  - name: tuple
    route: [c]
    match: [{dst: [203.0.113.2, "2001:db8:f::2"]}]
  - name: group
    route: [b]
    match: [{cgroup: app.slice}]
  - name: user
    route: [c, a]
    match: [{uid: [2000, 3000-3099]}]
`)
	for _, c := range []struct {
		by      string
		job     lab.Job // its cgroup and user
		service int
		router  int
		kinds   []lab.Kind
	}{
		{"no class", lab.Job{}, 1, byA, everyKind},
		{"cgroup", lab.Job{Cgroup: "app.slice"}, 1, byB, everyKind},
		{"cgroup below", lab.Job{Cgroup: "app.slice/a/b"}, 1, byB, everyKind},
		{"cgroup beside", lab.Job{Cgroup: "app.slice2"}, 1, byA, everyKind},
		{"uid", lab.Job{UID: 2000, GID: 1}, 1, byC, withoutRoot},
		{"last uid of a range", lab.Job{UID: 3099, GID: 1}, 1, byC, withoutRoot},
		{"uid behind a range", lab.Job{UID: 3100, GID: 1}, 1, byA, withoutRoot},
		{"destination", lab.Job{}, 2, byC, withDestination},
		{"destination before cgroup", lab.Job{Cgroup: "app.slice/a"}, 2, byC, withDestination},
	} {
		for f, kind := range sockets(c.kinds) {
			t.Run(fmt.Sprintf("%s/%s/%s", c.by, kind, f), func(t *testing.T) {
				needKind(t, s.Host, kind)
				job := f.job(kind, c.service)
				job.Cgroup, job.UID, job.GID = c.job.Cgroup, c.job.UID, c.job.GID
				s.leaves(t, job, c.router)
			})
		}
	}
}

var (
	everyKind   = []lab.Kind{lab.TCP, lab.MPTCP, lab.UDP, lab.SendTo, lab.Ping, lab.RawPing}
	withoutRoot = []lab.Kind{lab.TCP, lab.MPTCP, lab.UDP, lab.SendTo, lab.Ping}
	// The kernel tells no hook the destination of an unconnected ping.
	withDestination = []lab.Kind{lab.TCP, lab.MPTCP, lab.UDP, lab.SendTo}
)

// sockets are sockets of some kinds for every sort of address. ICMP has no
// mapped ones.
func sockets(kinds []lab.Kind) iter.Seq2[ip, lab.Kind] {
	return func(yield func(ip, lab.Kind) bool) {
		for _, f := range ips {
			for _, kind := range kinds {
				if !(isPing(kind) && f == mapped) && !yield(f, kind) {
					return
				}
			}
		}
	}
}

func isPing(k lab.Kind) bool { return k == lab.Ping || k == lab.RawPing }

func needKind(t *testing.T, n *lab.Node, kind lab.Kind) {
	t.Helper()
	if kind != lab.MPTCP {
		return
	}
	if on, err := n.ReadSysctl("net.mptcp.enabled"); err != nil || on != "1" {
		t.Skip("the kernel has no MPTCP")
	}
}

// TestEarlierClassWins has two classes that a socket is in, in both orders.
func TestEarlierClassWins(t *testing.T) {
	const group = "  - {name: group, route: [b], match: [{cgroup: app.slice}]}\n"
	const user = "  - {name: user, route: [c], match: [{uid: 2000}]}\n"
	const tuple = "  - {name: tuple, route: [a], match: [{dst: [203.0.113.2, \"2001:db8:f::2\"]}]}\n"
	for _, c := range []struct {
		name, classes string
		plain, tuple  int // the way to services 1 and 2
	}{
		{"cgroup, user, destination", group + user + tuple, byB, byB},
		{"user, destination, cgroup", user + tuple + group, byC, byC},
		{"destination, cgroup, user", tuple + group + user, byB, byA},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, lab.Options{Uplinks: 3})
			s.cgroups(t, "app.slice")
			s.apply(t, threeUplinks+"classes:\n"+c.classes)
			for i, router := range []int{c.plain, c.tuple} {
				for _, kind := range withDestination {
					for _, f := range ips {
						needKind(t, s.Host, kind)
						job := f.job(kind, i+1)
						job.Cgroup, job.UID, job.GID = "app.slice", 2000, 2000
						s.leaves(t, job, router)
					}
				}
			}
		})
	}
}
