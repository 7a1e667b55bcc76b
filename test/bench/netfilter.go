// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// paths names cgroups as nft and iptables want them: from the root of
// cgroup2. Level is how many names such a path has.
type paths struct {
	path  func(cgroup int) string
	level int
}

// nftOne is the least that nft can do: one rule that takes the traffic.
func nftOne(p policy, in paths) string {
	match := fmt.Sprintf("ip daddr %s", world)
	if p.form == byCgroup {
		match = in.nft() + fmt.Sprintf(" %q", in.path(p.cgroups()-1))
	}
	return nftTable("", fmt.Sprintf("%s counter meta mark set %d\n", match, p.last().mark))
}

// nftLinear is a rule for each, until one holds.
func nftLinear(p policy, in paths) string {
	var b strings.Builder
	for _, r := range p.rules {
		if r.cgroup >= 0 {
			fmt.Fprintf(&b, "%s %q goto %s\n", in.nft(), in.path(r.cgroup), r.way.name)
		} else {
			fmt.Fprintf(&b, "ip daddr %s %s dport %s goto %s\n", destination(r.dst), r.proto, r.ports, r.way.name)
		}
	}
	return nftTable(nftChains(p), b.String())
}

// nftVerdicts are maps to verdicts: the class's chain counts and marks.
func nftVerdicts(p policy, in paths) string {
	maps := nftMaps(p, in, "verdict", func(r rule) string { return "goto " + r.way.name })
	var b strings.Builder
	if p.cgroups() > 0 {
		fmt.Fprintf(&b, "%s vmap @cgroups\n", in.nft())
	}
	if p.cgroups() < len(p.rules) {
		fmt.Fprintf(&b, "%s vmap @tuples\n", nftTuple)
	}
	return nftTable(nftChains(p)+maps, b.String())
}

// nftMarks are maps to marks, and one counter for all classes.
func nftMarks(p policy, in paths) string {
	maps := nftMaps(p, in, "meta mark", func(r rule) string { return fmt.Sprint(r.way.mark) })
	var b strings.Builder
	if p.cgroups() > 0 {
		fmt.Fprintf(&b, "meta mark set %s map @cgroups counter accept\n", in.nft())
	}
	if p.cgroups() < len(p.rules) {
		fmt.Fprintf(&b, "meta mark set %s map @tuples counter\n", nftTuple)
	}
	return nftTable(maps, b.String())
}

const nftTuple = "ip daddr . meta l4proto . th dport"

func (in paths) nft() string { return fmt.Sprintf("socket cgroupv2 level %d", in.level) }

// nftMaps are the cgroups as a hash and the 5-tuples as intervals.
func nftMaps(p policy, in paths, to string, value func(rule) string) string {
	var cgroups, tuples strings.Builder
	for _, r := range p.rules {
		if r.cgroup >= 0 {
			fmt.Fprintf(&cgroups, "%q : %s,\n", in.path(r.cgroup), value(r))
		} else {
			fmt.Fprintf(&tuples, "%s . %s . %s : %s,\n", destination(r.dst), r.proto, r.ports, value(r))
		}
	}
	return nftMap("cgroups", in.nft(), to, "", cgroups.String()) + nftMap("tuples", nftTuple, to, "flags interval\n", tuples.String())
}

func nftMap(name, key, to, flags, elements string) string {
	if elements == "" {
		return ""
	}
	return fmt.Sprintf("map %s {\ntypeof %s : %s\n%selements = {\n%s}\n}\n", name, key, to, flags, elements)
}

// nftChains are a chain for each class, which counts and marks.
func nftChains(p policy) string {
	var b strings.Builder
	for _, way := range p.ways {
		fmt.Fprintf(&b, "chain %s {\ncounter meta mark set %d\n}\n", way.name, way.mark)
	}
	return b.String()
}

func nftTable(before, rules string) string {
	return "table ip bench {\n" + before + "chain out {\ntype route hook output priority mangle;\n" + rules + "}\n}\n"
}

// iptablesCgroups is a `-m cgroup` rule for each cgroup, and plain matches
// for 5-tuples.
func iptablesCgroups(p policy, in paths) string {
	var b strings.Builder
	b.WriteString("*mangle\n:OUTPUT ACCEPT\n")
	for _, way := range p.ways {
		fmt.Fprintf(&b, ":%s -\n", way.name)
	}
	for _, r := range p.rules {
		if r.cgroup >= 0 {
			fmt.Fprintf(&b, "-A OUTPUT -m cgroup --path %s -g %s\n", in.path(r.cgroup), r.way.name)
		} else {
			fmt.Fprintf(&b, "-A OUTPUT -d %s -p %s --dport %d:%d -g %s\n", r.dst, r.proto, r.ports.lo, r.ports.hi, r.way.name)
		}
	}
	for _, way := range p.ways {
		fmt.Fprintf(&b, "-A %s -j MARK --set-xmark %d/%d\n", way.name, way.mark, ownMask)
	}
	return b.String() + "COMMIT\n"
}

// destination is a prefix without its length where that says nothing.
func destination(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
