// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
)

// form is what the matches of a policy look at.
type form string

const (
	byTuple  form = "5-tuple"
	byCgroup form = "cgroup"
)

// mostCgroups is how many matches of the cgroup form name a cgroup; any more
// of them are 5-tuples, behind the cgroups.
const mostCgroups = 10_000

// policy is a set of rules in the order in which they are tried, the same
// for every arm. No two rules hold for one packet, so that forms without an
// order say the same.
type policy struct {
	form  form
	rules []rule
	ways  []way
}

// rule puts traffic in one of the policy's classes.
type rule struct {
	way    way
	cgroup int // a number for cgroupName; -1: the rule is a 5-tuple
	proto  string
	dst    netip.Prefix
	ports  ports
}

// way is a class with its route, by uplinks of the laboratory, and the mark
// that nft and iptables give it.
type way struct {
	name  string
	mark  int
	route []int
}

// The routes over two uplinks. The last is bare's: the traffic that is
// measured belongs to it, so that in every arm it takes the same links.
var fourWays = []way{{"b", 1, []int{1}}, {"ba", 2, []int{1, 0}}, {"ab", 3, []int{0, 1}}, {"a", 4, []int{0}}}

// newPolicy makes a policy of so many rules. Each class holds an equal part
// of the cgroups and of the 5-tuples, one class after the other.
func newPolicy(f form, size int) policy {
	p := policy{form: f, ways: fourWays[len(fourWays)-min(size, len(fourWays)):]}
	cgroups := 0
	if f == byCgroup {
		cgroups = min(size, mostCgroups)
	}
	tuples, n := size-cgroups, len(p.ways)
	for w, way := range p.ways {
		for i := w * cgroups / n; i < (w+1)*cgroups/n; i++ {
			p.rules = append(p.rules, rule{way: way, cgroup: i})
		}
		for i := w * tuples / n; i < (w+1)*tuples/n; i++ {
			p.rules = append(p.rules, tuple(way, tuples-1-i))
		}
	}
	return p
}

// tuple is 5-tuple number i: destinations side by side, protocols in turn,
// and the ports that policies name. Number 0, which the last class always
// has, is one for datagrams.
func tuple(w way, i int) rule {
	place, bits := i/2, 31
	if place%4 == 0 {
		bits = 32
	}
	dst := netip.PrefixFrom(address(2*place), bits)
	return rule{way: w, cgroup: -1, proto: []string{"udp", "tcp"}[i%2], dst: dst, ports: usualPorts[place%len(usualPorts)]}
}

// world holds every destination of the bench (RFC 2544). Rules take its
// addresses from the lower end; those at the upper end are in no rule.
var world = netip.MustParsePrefix("198.18.0.0/15")

func address(i int) netip.Addr {
	a := world.Addr().As4()
	return netip.AddrFrom4([4]byte{a[0], a[1] + byte(i>>16), byte(i >> 8), byte(i)})
}

type ports struct{ lo, hi uint16 }

func (p ports) String() string {
	if p.lo == p.hi {
		return fmt.Sprint(p.lo)
	}
	return fmt.Sprintf("%d-%d", p.lo, p.hi)
}

var usualPorts = []ports{{53, 53}, servicePorts, {80, 80}, {123, 123}, {443, 443}, {873, 873}, {993, 993}, {1194, 1194}, {1935, 1935},
	{3478, 3481}, {5060, 5061}, {5222, 5222}, {6881, 6889}, {8443, 8443}, {10000, 20000}, {1024, 65535}}

// servicePorts hold the ports of the sink, so a rule with them takes the TCP
// traffic of the bench.
var servicePorts = ports{8000, 8100}

func cgroupName(i int) string { return fmt.Sprintf("c%05d", i) }

// last is the class that the traffic is in.
func (p policy) last() way { return p.ways[len(p.ways)-1] }

// cgroups is how many cgroups the rules name.
func (p policy) cgroups() (n int) {
	for _, r := range p.rules {
		n = max(n, r.cgroup+1)
	}
	return n
}

// traffic is the cgroup that the measured process is in: the last that a
// rule names.
func (p policy) traffic() string {
	if n := p.cgroups(); n > 0 {
		return cgroupName(n - 1)
	}
	return ""
}

func (p policy) String() string { return fmt.Sprintf("%s, %s", p.form, count(len(p.rules), "rule")) }
