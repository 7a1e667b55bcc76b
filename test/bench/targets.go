// SPDX-License-Identifier: Apache-2.0

package main

import "net/netip"

// targets are where a worker sends, all of one policy's last class, spread
// evenly over its rules.
type targets struct {
	UDP []netip.AddrPort // at least one
	TCP []netip.Addr     // at the sink's ports; none when no rule takes them
}

const (
	mostTargets = 1024 // destinations of new flows in turn
	freeTargets = 256  // addresses at the upper end of world, in no rule
)

// targets are the destinations that the policy classes by its 5-tuples, or
// for the cgroup form some that no 5-tuple takes.
func (p policy) targets() (t targets) {
	if p.form == byCgroup {
		for i := range freeTargets {
			a := address(1<<17 - 1 - i)
			t.UDP = append(t.UDP, netip.AddrPortFrom(a, servicePorts.lo))
			t.TCP = append(t.TCP, a)
		}
		return t
	}
	for _, r := range p.rules {
		switch {
		case r.way.name != p.last().name:
		case r.proto == "udp":
			t.UDP = append(t.UDP, netip.AddrPortFrom(r.dst.Addr(), r.ports.lo))
		case r.ports == servicePorts:
			t.TCP = append(t.TCP, r.dst.Addr())
		}
	}
	t.UDP, t.TCP = spread(t.UDP, mostTargets), spread(t.TCP, mostTargets)
	return t
}

// spread takes n of all, evenly.
func spread[T any](all []T, n int) (some []T) {
	n = min(n, len(all))
	for i := range n {
		some = append(some, all[i*len(all)/n])
	}
	return some
}
