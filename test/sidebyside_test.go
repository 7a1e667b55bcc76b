// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	"waymark/internal/lab"
)

func groupBy(route string) string {
	return threeUplinks + "classes:\n  - {name: group, route: [" + route + "], match: [{cgroup: app.slice}]}\n"
}

// TestTwoNamespacesSideBySide has two hosts whose policies say different
// things of the same words, attached to parts of the cgroup tree of their own.
func TestTwoNamespacesSideBySide(t *testing.T) {
	one, two := newSite(t, lab.Options{Uplinks: 3}), newSite(t, lab.Options{Uplinks: 3})
	for _, s := range []*site{one, two} {
		s.cgroups(t, "app.slice")
	}
	one.apply(t, groupBy("b"))
	two.apply(t, groupBy("c"))
	each := func(first, second int) {
		t.Helper()
		for _, kind := range withDestination {
			one.leaves(t, in("app.slice", v6.job(kind, 1)), first)
			two.leaves(t, in("app.slice", v6.job(kind, 1)), second)
			one.leaves(t, v4.job(kind, 1), byA)
			two.leaves(t, v4.job(kind, 1), byA)
		}
	}
	each(byB, byC)
	one.apply(t, groupBy("a"))
	each(byA, byC)
	one.ok(t, "down")
	one.gone(t)
	each(byA, byC)
	one.apply(t, groupBy("b"))
	two.ok(t, "down")
	two.gone(t)
	each(byB, byA)
}

// TestSharedCgroup has two hosts that share the cgroup tree, as a machine's
// containers do: the policy of the network namespace decides.
func TestSharedCgroup(t *testing.T) {
	one, two := newSite(t, lab.Options{Uplinks: 3, Container: true, Forward: true}), newSite(t, lab.Options{Uplinks: 3})
	one.cgroups(t, "app.slice")
	one.apply(t, groupBy("b"))
	two.mark(t)
	file := two.write(t, groupBy("c"))[1]
	two.ok(t, "apply", "-f", file, "--cgroup-root", one.CgroupRoot())
	two.seen.add(t, two.pins())
	for _, network := range []string{"tcp", "udp"} {
		for _, to := range []netip.AddrPort{v4.service(1), v6.service(1)} {
			t.Run(network+" "+to.String(), func(t *testing.T) {
				one.asks(t, one, network, to, byB)
				one.asks(t, two, network, to, byC)
			})
		}
	}
	t.Run("in a namespace without a policy", func(t *testing.T) {
		for _, kind := range everyKind {
			needKind(t, one.Host, kind)
			r := must[lab.Result](t)(one.Container.Run(in("app.slice", v4.job(kind, 1))))
			if r.Mark != 0 {
				t.Errorf("%s: the container's socket has mark %#x, want none", kind, r.Mark)
			}
		}
	})
	two.ok(t, "down")
	two.gone(t)
	one.asks(t, one, "tcp", v4.service(1), byB)
	one.asks(t, two, "tcp", v4.service(1), byA)
}

// asks sends from a classed cgroup of this site, in the network namespace of
// a site's host, and checks by which router of that it leaves.
func (s *site) asks(t *testing.T, where *site, network string, to netip.AddrPort, router int) {
	t.Helper()
	self := must[string](t)(os.Executable())
	c := s.Host.Command("nsenter", "--net="+where.Host.NetnsPath(), "--", self, peerClient, network, to.String()).In("app.slice/x")
	where.drain(t)
	out := must[string](t)(c.Output())
	for n, packets := range where.collect(t, func(p lab.Packet) bool { return p.Dst == to }) {
		if (n == router) != (len(packets) > 0) {
			t.Errorf("router %d got %v; all should pass router %d; the answer is %q", n, packets, router, out)
		}
		for _, p := range packets {
			if p.Src.Addr() != where.address(router, to.Addr()) {
				t.Errorf("router %d got %v, want it from uplink %d's address", n, p, router)
			}
		}
	}
}

// TestAppliesAtTheSameTime has two hosts applied and taken down at once, all
// over again: they share a directory, a lock and a mount.
func TestAppliesAtTheSameTime(t *testing.T) {
	sites := []*site{newSite(t, lab.Options{}), newSite(t, lab.Options{})}
	var work sync.WaitGroup
	for _, s := range sites {
		s.cgroups(t, "app.slice")
		s.mark(t)
		apply := append([]string{"apply"}, s.write(t, fourClasses)...)
		work.Go(func() {
			for i := range 3 {
				for _, args := range [][]string{apply, {"status"}, {"down"}} {
					if o := s.waymark(t, args...); o.code != 0 {
						t.Errorf("round %d: waymark %s: exit %d: %s", i, args[0], o.code, o.stderr)
						return
					}
				}
			}
		})
	}
	work.Wait()
	for _, s := range sites {
		s.gone(t)
	}
}

// TestAppliesOfOneHostAtTheSameTime has several of them want different
// things of the same host: one after the other gets its way, whole.
func TestAppliesOfOneHostAtTheSameTime(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.mark(t)
	var work sync.WaitGroup
	for n := range 6 {
		apply := append([]string{"apply"}, s.writeAs(t, fmt.Sprintf("%d.yaml", n), groupBy([]string{"a", "b", "c"}[n%3]))...)
		work.Go(func() {
			for range 2 {
				if o := s.waymark(t, apply...); o.code != 0 {
					t.Errorf("apply: exit %d: %s", o.code, o.stderr)
				}
			}
		})
	}
	work.Wait()
	s.seen.add(t, s.pins())
	route := s.status(t).Classes[0].Route
	s.leaves(t, in("app.slice", v4.job(lab.TCP, 1)), map[string]int{"[a]": byA, "[b]": byB, "[c]": byC}[route])
	s.apply(t, groupBy(route[1:2])) // from a file of another name, which is a state of its own
	s.again(t, groupBy(route[1:2]))
}
