// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"slices"
	"strings"

	"waymark/internal/plan"
	"waymark/internal/registry"
)

// signFindings are tools that are here, to be seen by their interfaces.
func signFindings(h Host) (found []Finding) {
	for _, sign := range registry.Signs {
		made := sign.Made(h.names())
		if made == "" {
			continue
		}
		bits, why := uses(sign.Tool)
		f := Finding{Note, fmt.Sprintf("%s is here: interface %s", sign.Tool, made), sign.Tool, why, ""}
		if common := bits & uint32(h.Mask); common != 0 {
			f.Severity = Serious
			f.Cure = h.leave(common)
		}
		found = append(found, f)
	}
	return found
}

// leave is how to have no bits of the mark that somebody else uses.
func (h Host) leave(common uint32) string {
	if rest := uint32(h.Mask) &^ common; rest != 0 {
		return fmt.Sprintf("leave them out with `mark: {mask: %#x}`", rest)
	}
	if h.free.Mask == 0 {
		return "have its owner use fewer: nobody here leaves a bit"
	}
	return fmt.Sprintf("take other bits with `mark: {mask: %s}`", h.free.Mask)
}

// uses are the bits of the fwmark that are a tool's own, and in words all its
// numbers.
func uses(name string) (bits uint32, says string) {
	var parts []string
	for _, t := range registry.Tools {
		if t.Name != name {
			continue
		}
		bits |= t.Bits()
		switch {
		case t.Whole() && t.Last != 0:
			parts = append(parts, fmt.Sprintf("the fwmarks %#x to %#x, whole", t.Mark, t.Last))
		case t.Whole():
			parts = append(parts, fmt.Sprintf("the fwmark %#x, whole", t.Mark))
		case t.Mask != 0:
			parts = append(parts, fmt.Sprintf("the bits %#x of the fwmark", t.Mask))
		}
		parts = append(parts, numbers(t.Priorities, "rule priority", "rule priorities")...)
		parts = append(parts, numbers(t.Tables, "table", "tables")...)
	}
	if parts == nil {
		return bits, "it changes rules and filters"
	}
	return bits, "it uses " + strings.Join(parts, ", ")
}

func numbers(r registry.Range, one, several string) []string {
	switch r.First {
	case 0:
		return nil
	case r.Last:
		return []string{fmt.Sprintf("the %s %d", one, r.First)}
	}
	return []string{fmt.Sprintf("the %s %d to %d", several, r.First, r.Last)}
}

// sysctlFindings are values that change where packets go and that no plan
// sets.
func sysctlFindings(h Host) (found []Finding) {
	is := func(name, value string) bool { return h.Facts.Sysctls[name] == value }
	for _, u := range h.Uplinks {
		name := "net/ipv4/conf/" + u + "/rp_filter"
		strict := is(name, "1") || is("net/ipv4/conf/all/rp_filter", "1") && !is(name, "2")
		if h.Plan != nil && slices.ContainsFunc(h.Plan.Kept, func(s plan.Sysctl) bool { return s.Name == name }) {
			continue
		}
		if strict && h.Plan == nil {
			found = append(found, Finding{Note, fmt.Sprintf("the reverse path filter of %s is strict", u), "",
				"it drops what comes in where no rule leads back, as with forwarding, probes or leased addresses; `waymark apply` makes it loose where that is so, and `down` strict again", ""})
		} else if strict {
			found = append(found, Finding{Serious, fmt.Sprintf("the reverse path filter of %s is strict", u), "",
				"it drops what comes in where no rule leads back: `waymark plan` says why it has to be loose", "sysctl -w " + name + "=2"}) // with slashes: names of interfaces have dots
		}
	}
	if is("net/ipv4/conf/all/src_valid_mark", "1") && len(h.Uplinks) > 1 {
		found = append(found, Finding{Warning, "net.ipv4.conf.all.src_valid_mark is 1", "wg-quick and Tailscale set it",
			"reverse path filters look the way back up with the packet's mark, which other tools' marked packets do not expect", "`sysctl -w net.ipv4.conf.all.src_valid_mark=0`, if nobody needs it"})
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

func networkManagerFindings(h Host) (found []Finding) {
	for _, c := range h.NetworkManager {
		what, cure := fmt.Sprintf("NetworkManager's connection %q has the routing table %s for %s", c.Name, c.Table, c.Family),
			fmt.Sprintf("nmcli connection modify %q %s.route-table 0", c.Name, c.Family)
		if c.Name == "" {
			what, cure = fmt.Sprintf("NetworkManager gives connections the routing table %s for %s", c.Table, c.Family), fmt.Sprintf("remove `%s.route-table` from %s", c.Family, c.File)
		}
		found = append(found, Finding{Warning, what, "NetworkManager", "a connection with a table of its own is held to its own routes in every table: when it is configured, some versions remove Waymark's by its interface, until the agent or the next `apply` puts them back", cure})
	}
	return found
}

func programFindings(h Host) (found []Finding) {
	for _, p := range h.Programs {
		owner := registry.OwnerOfProgram(p.Name)
		if owner == "" {
			owner = strings.Join(p.Holders, ", ")
		}
		found = append(found, Finding{Note, fmt.Sprintf("BPF program %d (%s) is attached at %s", p.ID, p.Name, p.Place), owner,
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
