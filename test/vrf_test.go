// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
	"waymark/internal/plan"
)

// addLink makes an interface of a kind that not every kernel has, and has it up.
func addLink(t *testing.T, n *lab.Node, link netlink.Link) netlink.Link {
	t.Helper()
	if err := n.Handle().LinkAdd(link); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("the kernel has no links of type %s", link.Type())
	} else if err != nil {
		t.Fatal(err)
	}
	if err := n.Handle().LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	return must[netlink.Link](t)(n.Handle().LinkByName(link.Attrs().Name))
}

// inVRF puts an interface of the host in a VRF, with what it loses by that.
func (s *site) inVRF(t *testing.T, name string, table uint32, iface string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	vrf := addLink(t, s.Host, &netlink.Vrf{LinkAttrs: attrs, Table: table})
	h := s.Host.Handle()
	link := must[netlink.Link](t)(h.LinkByName(iface))
	addresses := must[[]netlink.Addr](t)(h.AddrList(link, unix.AF_INET6))
	neighbours := must[[]netlink.Neigh](t)(h.NeighList(link.Attrs().Index, 0))
	if err := h.LinkSetMaster(link, vrf); err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if err := h.AddrReplace(link, &netlink.Addr{IPNet: a.IPNet, Flags: unix.IFA_F_NODAD}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range neighbours {
		if n.State == unix.NUD_PERMANENT {
			if err := h.NeighSet(&n); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestVRF has one uplink in a VRF and a container in another. Classes go by
// their uplink, in a VRF or not; what is bound to a VRF stays in it, and so does
// what came in by it.
func TestVRF(t *testing.T) {
	s := newTraffic(t, lab.Options{Container: true, Forward: true})
	const red = 77
	s.inVRF(t, "red", red, "up-b")
	s.inVRF(t, "blue", 78, "ctr0")
	for _, f := range bothFamilies {
		gateway := map[ip]netip.Addr{v4: s.Uplink(byB).Gateway4, v6: s.Uplink(byB).Gateway6}[f]
		whole := map[ip]string{v4: "0.0.0.0/0", v6: "::/0"}[f]
		if err := s.Host.Handle().RouteAdd(&netlink.Route{Table: red, Dst: ipNet(netip.MustParsePrefix(whole)), Gw: gateway.AsSlice(), LinkIndex: must[netlink.Link](t)(s.Host.Handle().LinkByName("up-b")).Attrs().Index}); err != nil {
			t.Fatal(err)
		}
	}
	must[*lab.Server](t)(s.Container.Serve(servicePort))

	const cure = "begin behind it with `rules: {base: 2000}`"
	if o := s.refused(t, traffic); o.code != 4 || !strings.Contains(o.stderr, cure) {
		t.Errorf("beside the rule for VRFs: exit %d: %s", o.code, o.stderr)
	}
	const behind = "rules: {base: 2000}\n" + traffic
	if notes := strings.Join(s.notes(t, behind), "\n"); !strings.Contains(notes, "up-b is in VRF red") || !strings.Contains(notes, "tcp_l3mdev_accept=1 net.ipv4.udp_l3mdev_accept=1") {
		t.Errorf("of an uplink in a VRF the plan notes %q", notes)
	}
	if notes := strings.Join(s.notes(t, "rules: {base: 500}\n"+traffic), "\n"); !strings.Contains(notes, cure) {
		t.Errorf("of rules before that for VRFs the plan notes %q", notes)
	}
	for _, name := range []string{"net.ipv4.tcp_l3mdev_accept", "net.ipv4.udp_l3mdev_accept"} {
		if err := s.Host.Sysctl(name, "1"); err != nil {
			t.Fatal(err)
		}
	}
	s.apply(t, behind)
	s.listen(t, "app.slice", 108)
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			bound := func(job lab.Job) lab.Job { job.Device = "red"; return job }
			for _, c := range []struct {
				name   string
				job    lab.Job
				router int
			}{
				{"unclassed", f.job(kind, 1), byA},
				{"cgroup", in("app.slice", f.job(kind, 1)), byB},
				{"no leak", in("closed.slice", f.job(kind, 1)), byB},
				{"destination", f.job(kind, 3), byC},
				{"bound", bound(f.job(kind, 1)), byB},
				{"cgroup, bound", bound(in("app.slice", f.job(kind, 1))), byB},
				{"destination, bound", bound(f.job(kind, 3)), byB},
			} {
				t.Run(fmt.Sprintf("%s/%s/%s", c.name, kind, f), func(t *testing.T) {
					s.blameless(t, func() { s.leaves(t, c.job, c.router) })
				})
			}
			t.Run(fmt.Sprintf("another VRF/%s/%s", kind, f), func(t *testing.T) {
				job := in("app.slice", lab.Job{Kind: kind, To: []netip.AddrPort{netip.AddrPortFrom(f.inside(s.Container), servicePort)}, Count: 1, Size: 16})
				job.Device = "blue"
				if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
					t.Error(r.Err())
				}
			})
		}
		t.Run("volumes/"+string(f), func(t *testing.T) {
			carried, counted, classed := s.carried(t, false), s.exchanged(t, f), tallyOf(t, s.metered(t), "group").Received.Total().Packets
			s.leaves(t, in("app.slice", f.job(lab.TCP, 1)), byB)
			s.quiet(t)
			if diff := cmp.Diff(since(carried, s.carried(t, false)), since(counted, s.exchanged(t, f))); diff != "" {
				t.Errorf("not what the interfaces carried (-interfaces +meter):\n%s", diff)
			}
			if tallyOf(t, s.metered(t), "group").Received.Total().Packets == classed {
				t.Error("of what came in by the VRF nothing was the class's")
			}
		})
		t.Run("inbound/"+string(f), func(t *testing.T) {
			// No IPv6 socket may say that it answers from an address of a VRF that it is not bound to: the second server leaves that to the kernel.
			for kind, port := range map[lab.Kind]uint16{lab.TCP: 108, lab.UDP: 109} {
				to := netip.AddrPortFrom(s.address(byB, f.service(1).Addr()), port)
				s.blameless(t, func() { s.answers(t, s.Far, lab.Job{Kind: kind, To: []netip.AddrPort{to}}, byB) })
			}
		})
	}
}

// notes are those of a plan.
func (s *site) notes(t *testing.T, policy string) []string {
	t.Helper()
	out := s.ok(t, append([]string{"plan", "-o", "json"}, s.write(t, policy)...)...)
	return item[struct{ Plan plan.Plan }](t, out).Plan.Notes
}

// TestDummy has dummy interfaces as the home of an address that no uplink has,
// and as an uplink that leads nowhere.
func TestDummy(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	home, sink := netlink.NewLinkAttrs(), netlink.NewLinkAttrs()
	home.Name, sink.Name = "home", "sink"
	addLink(t, s.Host, &netlink.Dummy{LinkAttrs: home})
	addLink(t, s.Host, &netlink.Dummy{LinkAttrs: sink})
	own := map[ip]string{v4: "198.51.100.77/32", v6: "2001:db8:99::77/128"}
	for _, f := range bothFamilies {
		addAddress(t, s.Host, "home", netip.MustParsePrefix(own[f]))
		addAddress(t, s.Host, "sink", netip.MustParsePrefix(map[ip]string{v4: "10.9.9.1/24", v6: "2001:db8:9::1/64"}[f]))
	}
	s.cgroups(t, "sunk.slice", "lost.slice")
	s.apply(t, threeUplinks+`  - {name: sink, interface: sink, gateway: none}
classes:
  - {name: group, route: [b], match: [{cgroup: app.slice}]}
  - {name: sunk, route: [sink], match: [{cgroup: sunk.slice}]}
  - {name: lost, route: [sink, c], otherwise: unreachable, match: [{cgroup: lost.slice}]}
`)
	for _, f := range bothFamilies {
		address := netip.MustParsePrefix(own[f]).Addr()
		for _, kind := range []lab.Kind{lab.UDP, lab.SendTo} {
			t.Run(fmt.Sprintf("an address on a dummy/%s/%s", kind, f), func(t *testing.T) {
				job := from(address, in("app.slice", toPort(9, f.job(kind, 1))))
				job.NoReply, job.Count, job.Size = true, 1, 16
				s.account(t, ledger{}, func() { s.send(t, s.Host, job).left(t, byB, address) })
			})
			for _, class := range []string{"sunk", "lost"} {
				t.Run(fmt.Sprintf("%s in a dummy/%s/%s", class, kind, f), func(t *testing.T) {
					job := in(class+".slice", toPort(9, f.job(kind, 1)))
					job.NoReply, job.Count, job.Size = true, 1, 16
					since := s.books(t)[class+" sink"].Packets
					s.account(t, ledger{}, func() {
						p := s.send(t, s.Host, job)
						if slices.ContainsFunc(p.at, func(got []lab.Packet) bool { return len(got) > 0 }) || p.Err() != nil {
							t.Errorf("%v; at the routers: %v", p.Err(), p.at)
						}
					})
					if n := s.books(t)[class+" sink"].Packets - since; n != 1 {
						t.Errorf("%d packets left by the dummy, want 1", n)
					}
				})
			}
		}
	}
}
