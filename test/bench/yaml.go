// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"waymark/internal/lab"
)

// yaml is the policy as Waymark reads it.
func (p policy) yaml(uplinks []lab.Uplink) string {
	var b strings.Builder
	writeUplinks(&b, uplinks)
	b.WriteString("classes:\n")
	last := ""
	for _, r := range p.rules {
		if r.way.name != last {
			last = r.way.name
			fmt.Fprintf(&b, "  - name: %s\n    route: [%s]\n    match:\n", r.way.name, names(uplinks, r.way.route))
		}
		if r.cgroup >= 0 {
			fmt.Fprintf(&b, "      - cgroup: %s\n", cgroupName(r.cgroup))
		} else {
			fmt.Fprintf(&b, "      - {proto: %s, dst: %s, dport: %s}\n", r.proto, r.dst, r.ports)
		}
	}
	return b.String()
}

// manyClasses is a policy of n classes, over routes of one uplink each.
func manyClasses(uplinks []lab.Uplink, n int) string {
	var b strings.Builder
	b.WriteString("mark: {mask: 0x0fff0000}\n")
	writeUplinks(&b, uplinks)
	b.WriteString("classes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: %s, route: [%s], match: [{uid: %d}]}\n", className(i), uplinks[i*len(uplinks)/n].Name, 10_000+i)
	}
	return b.String()
}

func className(i int) string { return fmt.Sprintf("class-%d", i) }

func writeUplinks(b *strings.Builder, uplinks []lab.Uplink) {
	b.WriteString("uplinks:\n")
	for _, u := range uplinks {
		fmt.Fprintf(b, "  - {name: %s, interface: %s, gateway: [%s, %q]}\n", u.Name, u.Interface, u.Gateway4, u.Gateway6.String())
	}
}

func names(uplinks []lab.Uplink, route []int) string {
	list := make([]string, len(route))
	for i, u := range route {
		list[i] = uplinks[u].Name
	}
	return strings.Join(list, ", ")
}

// uplinksOf are the uplinks of a laboratory.
func uplinksOf(l *lab.Lab) (all []lab.Uplink) {
	for i := range l.Routers {
		all = append(all, l.Uplink(i))
	}
	return all
}
