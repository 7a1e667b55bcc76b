// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"waymark/internal/lab"
)

// yaml is the policy as Waymark reads it.
func (p policy) yaml(l *lab.Lab) string {
	var b strings.Builder
	writeUplinks(&b, l, 2)
	b.WriteString("classes:\n")
	last := -1
	for _, r := range p.rules {
		if r.way != last {
			last = r.way
			fmt.Fprintf(&b, "  - name: %s\n    route: [%s]\n    match:\n", p.ways[last].name, uplinkNames(l, p.ways[last].route))
		}
		if r.cgroup >= 0 {
			fmt.Fprintf(&b, "      - cgroup: %s\n", cgroupName(r.cgroup))
		} else {
			fmt.Fprintf(&b, "      - {proto: %s, dst: %s, dport: %s}\n", r.proto, r.dst, r.ports)
		}
	}
	return b.String()
}

// manyClasses is a policy of n classes over the routes of one uplink each.
func manyClasses(l *lab.Lab, n, routes int) string {
	var b strings.Builder
	b.WriteString("mark: {mask: 0x0fff0000}\n")
	writeUplinks(&b, l, routes)
	b.WriteString("classes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: class-%d, route: [%s], match: [{uid: %d}]}\n", i, l.Uplink(i*routes/n).Name, 10_000+i)
	}
	return b.String()
}

func writeUplinks(b *strings.Builder, l *lab.Lab, n int) {
	b.WriteString("uplinks:\n")
	for i := range n {
		u := l.Uplink(i)
		fmt.Fprintf(b, "  - {name: %s, interface: %s, gateway: [%s, %q]}\n", u.Name, u.Interface, u.Gateway4, u.Gateway6.String())
	}
}

func uplinkNames(l *lab.Lab, route []int) string {
	names := make([]string, len(route))
	for i, u := range route {
		names[i] = l.Uplink(u).Name
	}
	return strings.Join(names, ", ")
}
