// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"slices"
	"strings"

	"waymark/internal/registry"
)

// signFindings are tools that are here, to be seen by their interfaces.
func signFindings(h Host) (found []Finding) {
	for _, t := range registry.Tools {
		k := slices.IndexFunc(h.Interfaces, func(i Interface) bool { return isSign(t.Sign, i.Name) })
		if t.Sign == "" || k < 0 {
			continue
		}
		f := Finding{Note, fmt.Sprintf("%s is here: interface %s", t.Name, h.Interfaces[k].Name), t.Name, uses(t), ""}
		if common := t.Bits() & uint32(h.Mask); common != 0 {
			f.Severity = Serious
			f.Cure = fmt.Sprintf("leave its bits to it with `mark: {mask: %#x}`", uint32(h.Mask)&^common)
		}
		found = append(found, f)
	}
	return found
}

func isSign(sign, name string) bool {
	if begin, open := strings.CutSuffix(sign, "*"); open {
		return strings.HasPrefix(name, begin)
	}
	return name == sign
}

// uses says what numbers are a tool's own.
func uses(t registry.Tool) string {
	var parts []string
	switch {
	case t.Whole():
		parts = append(parts, fmt.Sprintf("the fwmark %#x, whole", t.Mark))
	case t.Mask != 0:
		parts = append(parts, fmt.Sprintf("the bits %#x of the fwmark", t.Mask))
	}
	if t.Priorities.First != 0 {
		parts = append(parts, fmt.Sprintf("the rule priorities %d to %d", t.Priorities.First, t.Priorities.Last))
	}
	if t.Tables.First != 0 {
		parts = append(parts, fmt.Sprintf("the tables %d to %d", t.Tables.First, t.Tables.Last))
	}
	if parts == nil {
		return "it changes rules and filters"
	}
	return "it uses " + strings.Join(parts, ", ")
}

// sysctlFindings are values that change where packets go and that no plan
// sets.
func sysctlFindings(h Host) (found []Finding) {
	is := func(name, value string) bool { return h.Facts.Sysctls[name] == value }
	for _, u := range h.Uplinks {
		name := "net/ipv4/conf/" + u + "/rp_filter"
		strict := is(name, "1") || is("net/ipv4/conf/all/rp_filter", "1") && !is(name, "2")
		if strict && h.Plan == nil {
			found = append(found, Finding{Note, fmt.Sprintf("the reverse path filter of %s is strict", u), "",
				"it asks main for the way back and drops the replies to classed traffic; `waymark apply` makes it loose there, and `down` strict again", ""})
		} else if strict {
			found = append(found, Finding{Serious, fmt.Sprintf("the reverse path filter of %s is strict", u), "",
				"it drops the replies to classed traffic", "sysctl -w " + strings.ReplaceAll(name, "/", ".") + "=2"})
		}
	}
	if is("net/ipv4/conf/all/src_valid_mark", "1") && len(h.Uplinks) > 1 {
		found = append(found, Finding{Warning, "net.ipv4.conf.all.src_valid_mark is 1", "wg-quick sets it",
			"reverse path filters look the way back up with the packet's mark, which other tools' marked packets do not expect", "sysctl -w net.ipv4.conf.all.src_valid_mark=0, if nobody needs it"})
	}
	for _, name := range []string{"net/ipv4/tcp_fwmark_accept", "net/ipv4/fwmark_reflect", "net/ipv6/fwmark_reflect"} {
		if is(name, "1") {
			found = append(found, Finding{Warning, strings.ReplaceAll(name, "/", ".") + " is 1", "",
				"replies take their mark from the packets that came in: where a filter marks those, they leave as that class", "sysctl -w " + strings.ReplaceAll(name, "/", ".") + "=0"})
		}
	}
	return found
}

func networkdFindings(h Host) (found []Finding) {
	const install = "install -D -m 644 /usr/local/share/doc/waymark/networkd-foreign.conf /etc/systemd/networkd.conf.d/waymark.conf && systemctl restart systemd-networkd"
	if h.Networkd == nil {
		return nil
	}
	if h.Networkd.RemovesRules {
		found = append(found, Finding{Serious, "systemd-networkd removes rules that are not its own", "systemd-networkd",
			"when it is reconfigured or reloads, every class loses its way until the agent or the next `apply` puts the rules back", install})
	}
	if h.Networkd.RemovesRoutes {
		found = append(found, Finding{Warning, "systemd-networkd removes routes that are not its own", "systemd-networkd",
			"when it is reconfigured, tables can lose their routes until the agent or the next `apply` puts them back", install})
	}
	return found
}

func programFindings(h Host) (found []Finding) {
	for _, p := range h.Programs {
		found = append(found, Finding{Note, fmt.Sprintf("BPF program %d (%s) is attached at %s", p.ID, p.Name, p.Place), p.Name,
			"it sees the same sockets or packets, and can change their mark or refuse them", ""})
	}
	return found
}

func resolverFindings(h Host) []Finding {
	for _, line := range strings.Split(h.Resolv, "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" && (strings.HasPrefix(f[1], "127.") || f[1] == "::1") {
			return []Finding{{Note, "names are resolved by " + f[1], "a resolver on this host",
				"its queries are the resolver's own: they leave by the class of the resolver, whichever class asks", "give the resolver's unit a class, or the classes resolvers of their own"}}
		}
	}
	return nil
}

func mtuFindings(h Host) []Finding {
	mtus := map[string]int{}
	for _, i := range h.Interfaces {
		if slices.Contains(h.Uplinks, i.Name) {
			mtus[i.Name] = i.MTU
		}
	}
	for _, u := range h.Uplinks {
		if first := h.Uplinks[0]; mtus[u] != mtus[first] && mtus[u] != 0 && mtus[first] != 0 {
			return []Finding{{Note, fmt.Sprintf("uplinks have different MTUs: %s %d, %s %d", first, mtus[first], u, mtus[u]), "",
				"a flow that is moved to the smaller one has to learn it from ICMP, which must not be filtered", ""}}
		}
	}
	return nil
}
