// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// String returns the policy as YAML in its canonical form. Parsing that gives
// the same policy, positions aside.
func (p *Policy) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mark: {mask: %#08x}\n", p.Mark.Mask)
	fmt.Fprintf(&b, "rules: {base: %d}\n", p.Rules.Base)
	fmt.Fprintf(&b, "tables: {base: %d}\n", p.Tables.Base)
	if p.Balance.By == SpreadAddresses {
		fmt.Fprintf(&b, "balance: {by: %s}\n", p.Balance.By)
	}
	if p.Telemetry.Off != nil {
		off := list(p.Telemetry.Off, func(g Group) string { return string(g) + ": false" })
		fmt.Fprintf(&b, "telemetry: {%s}\n", strings.Trim(off, "[]"))
	}
	if p.Runtimes.Sockets != nil {
		sockets := list(p.Runtimes.Sockets, func(path string) string { return Quote(unixScheme + path) })
		fmt.Fprintf(&b, "containers: {sockets: %s}\n", sockets)
	}
	if len(p.Uplinks) > 0 {
		b.WriteString("\nuplinks:\n")
	}
	for i := range p.Uplinks {
		p.Uplinks[i].print(&b)
	}
	if len(p.Classes) > 0 {
		b.WriteString("\nclasses:\n")
	}
	for i := range p.Classes {
		p.Classes[i].print(&b)
	}
	if len(p.Moves) > 0 {
		b.WriteString("\nmoves:\n")
	}
	for _, m := range p.Moves {
		fmt.Fprintf(&b, "  - %s\n", m)
	}
	return b.String()
}

func (u *Uplink) print(b *strings.Builder) {
	fmt.Fprintf(b, "  - name: %s\n    interface: %s\n", Quote(u.Name), Quote(u.Interface))
	if !u.Gateway.Auto {
		fmt.Fprintf(b, "    gateway: %s\n", u.Gateway)
	}
	switch {
	case len(u.SNATTo) > 0:
		fmt.Fprintf(b, "    snat: %s\n", list(u.SNATTo, func(r AddressRange) string { return Quote(r.String()) }))
	case u.SNAT:
		b.WriteString("    snat: true\n")
	}
	if u.Probe != nil {
		fmt.Fprintf(b, "    probe: %s\n", u.Probe)
	}
	if u.Strict {
		b.WriteString("    strict: true\n")
	}
	if u.Lopsided {
		b.WriteString("    symmetric: false\n")
	}
}

// String returns the gateway as a policy says it: auto, none or its addresses.
func (g Gateway) String() string {
	switch {
	case g.Auto:
		return "auto"
	case len(g.Addresses) == 0:
		return "none"
	}
	return list(g.Addresses, func(a netip.Addr) string { return Quote(a.String()) })
}

func (c *Class) print(b *strings.Builder) {
	fmt.Fprintf(b, "  - name: %s\n    route: %s\n", Quote(c.Name), c.routeText())
	if c.Otherwise != OtherwiseMain && c.Otherwise != "" {
		fmt.Fprintf(b, "    otherwise: %s\n", c.Otherwise)
	}
	if c.Existing != FateKeep && c.Existing != "" {
		fmt.Fprintf(b, "    existing: %s\n", c.Existing)
	}
	if c.Strict {
		b.WriteString("    strict: true\n")
	}
	b.WriteString("    match:\n")
	for i := range c.Matches {
		fmt.Fprintf(b, "      - %s\n", c.Matches[i].String())
	}
}

// routeText returns the route as a policy says it, in one line: [lte, fiber] or
// {fiber: 3, lte: 1}.
func (c *Class) routeText() string {
	hops := make([]string, len(c.Route))
	for i, h := range c.Route {
		hops[i] = Quote(h.Uplink)
		if h.Weight > 0 {
			hops[i] += ": " + strconv.Itoa(h.Weight)
		}
	}
	if c.weighted() {
		return "{" + strings.Join(hops, ", ") + "}"
	}
	return "[" + strings.Join(hops, ", ") + "]"
}

// String returns the match as a policy says it, in one line: {cgroup:
// app.slice, proto: udp, dport: 443}.
func (m Match) String() string {
	var fields []string
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, key+": "+value)
		}
	}
	add("cgroup", list(m.Cgroup, Quote))
	add("unit", list(m.Unit, Unit.String))
	add("container", list(m.Container, Container.String))
	add("uid", list(m.UID, User.String))
	add("proto", list(m.Proto, protocolName))
	add("src", list(m.Src, prefixText))
	add("dst", list(m.Dst, prefixText))
	add("sport", list(m.Sport, PortRange.String))
	add("dport", list(m.Dport, PortRange.String))
	add("iif", list(m.IIF, Quote))
	return "{" + strings.Join(fields, ", ") + "}"
}

// String returns the user as a policy says it: a name, an id or a range.
func (u User) String() string {
	if u.Name != "" {
		return Quote(u.Name)
	}
	return spanText(uint64(u.Lo), uint64(u.Hi))
}

// String returns the range as a policy says it: 443 or 8000-8100.
func (r PortRange) String() string { return spanText(uint64(r.Lo), uint64(r.Hi)) }

func spanText(lo, hi uint64) string {
	if lo == hi {
		return strconv.FormatUint(lo, 10)
	}
	return strconv.FormatUint(lo, 10) + "-" + strconv.FormatUint(hi, 10)
}

func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return Quote(p.Addr().String())
	}
	return Quote(p.String())
}

// list returns values in brackets, a single one without, and none as "".
func list[T any](values []T, text func(T) string) string {
	if len(values) == 1 {
		return text(values[0])
	}
	if len(values) == 0 {
		return ""
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = text(v)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// Quote returns text as a scalar that every YAML reader takes for that text.
func Quote(text string) string {
	if text != "" && inPlain[text[0]] == anywhere && plainLen(text) == len(text) && plainKind(text) == scalar {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
