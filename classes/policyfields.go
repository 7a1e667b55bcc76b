// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var policyFields = []field[Policy]{
	{key: "mark", example: "{mask: 0xb7000000}", read: func(d *decoder, p *Policy, n *node) {
		section(d, n, "mark", &p.Mark.Pos, markFields, &p.Mark)
	}},
	{key: "rules", example: "{base: 1000}", read: func(d *decoder, p *Policy, n *node) {
		section(d, n, "rules", &p.Rules.Pos, rulesFields, &p.Rules)
	}},
	{key: "tables", example: "{base: 7000}", read: func(d *decoder, p *Policy, n *node) {
		section(d, n, "tables", &p.Tables.Pos, tablesFields, &p.Tables)
	}},
	{key: "balance", example: "{by: addresses}", read: func(d *decoder, p *Policy, n *node) {
		section(d, n, "balance", &p.Balance.Pos, balanceFields, &p.Balance)
	}},
	{key: "telemetry", example: "{queue: false}", read: (*decoder).telemetry},
	{key: "containers", example: "{sockets: [unix:///run/docker.sock]}", read: func(d *decoder, p *Policy, n *node) {
		section(d, n, "containers", &p.Runtimes.Pos, runtimesFields, &p.Runtimes)
	}},
	{key: "uplinks", example: "[{name: fiber, interface: eth0}]", read: (*decoder).uplinks},
	{key: "classes", example: "[{name: bulk, route: fiber, match: [{cgroup: backup.slice}]}]", read: (*decoder).classes},
	{key: "moves", example: "[{cgroup: backup.slice, to: bulk}]", read: (*decoder).moves},
}

var markFields = []field[Mark]{
	{key: "mask", example: "0xb7000000", required: true, read: (*decoder).mask},
}

var rulesFields = []field[Rules]{
	{key: "base", example: "1000", required: true, read: func(d *decoder, r *Rules, n *node) {
		r.Pos = d.pos(n)
		if base := d.number(n, "a rule priority", 1, 32000); base != 0 {
			r.Base = int(base)
		}
	}},
}

var tablesFields = []field[Tables]{
	{key: "base", example: "7000", required: true, read: func(d *decoder, t *Tables, n *node) {
		t.Pos = d.pos(n)
		if base := d.number(n, "a table number", 1, maxTable); base != 0 {
			t.Base = int(base)
		}
	}},
}

var balanceFields = []field[Balance]{
	{key: "by", example: "addresses", required: true, read: func(d *decoder, b *Balance, n *node) {
		b.By = oneOf(d, n, SpreadFlow, SpreadAddresses)
	}},
}

var telemetryFields = []field[Telemetry]{
	group(GroupRTT), group(GroupConnect), group(GroupQueue), group(GroupDrops), group(GroupHits), group(GroupSends),
}

func group(g Group) field[Telemetry] {
	return field[Telemetry]{key: string(g), example: "false", read: func(d *decoder, t *Telemetry, n *node) {
		if !d.truth(n) {
			t.Off = append(t.Off, g)
		}
	}}
}

var uplinkFields = []field[Uplink]{
	{key: "name", example: "fiber", required: true, read: func(d *decoder, u *Uplink, n *node) { u.Name = d.name(n) }},
	{key: "interface", example: "eth0", required: true, read: func(d *decoder, u *Uplink, n *node) { u.Interface, _ = d.interfaceName(n) }},
	{key: "gateway", example: "auto", read: (*decoder).gateway},
	{key: "snat", example: "true", read: (*decoder).snat},
	{key: "probe", example: "{icmp: [192.0.2.1]}", read: (*decoder).probe},
	{key: "strict", example: "true", read: func(d *decoder, u *Uplink, n *node) { u.Strict = d.truth(n) }},
	{key: "symmetric", example: "false", read: func(d *decoder, u *Uplink, n *node) { u.Lopsided = !d.truth(n) }},
}

func (d *decoder) telemetry(p *Policy, n *node) {
	section(d, n, "telemetry", &p.Telemetry.Pos, telemetryFields, &p.Telemetry)
	order := func(a, b Group) int { return slices.Index(Groups, a) - slices.Index(Groups, b) }
	slices.SortFunc(p.Telemetry.Off, order)
}

// section reads a key that one file has for the whole policy.
func section[T any](d *decoder, n *node, key string, at *Position, table []field[T], into *T) {
	if *at != (Position{}) {
		d.problem(n, key+" is given in two files", "keep one of the two", *at)
		return
	}
	*at = d.pos(n)
	fields(d, n, key, table, into)
}

func (d *decoder) mask(m *Mark, n *node) {
	const hint = "write the mark bits that nobody else on the host uses, such as 0xb7000000"
	m.Pos = d.pos(n)
	text, ok := d.scalar(n, "a mask such as 0xb7000000")
	if !ok {
		return
	}
	switch mask, ok := parseNumber(text); {
	case !ok:
		d.problem(n, fmt.Sprintf("%q is not a mask", text), hint)
	case mask == 0:
		d.problem(n, "the mask is 0: no class would have a mark", hint)
	case mask >= 1<<32:
		d.problem(n, text+" has more than the 32 bits of a mark", hint)
	default:
		m.Mask = uint32(mask)
	}
}

func (d *decoder) uplinks(p *Policy, n *node) {
	p.Uplinks = append(p.Uplinks, each(d, n, func(d *decoder, n *node) (Uplink, bool) {
		u := Uplink{Pos: d.pos(n), Gateway: Gateway{Auto: true}}
		fields(d, n, "an uplink", uplinkFields, &u)
		return u, true
	})...)
}

func (d *decoder) gateway(u *Uplink, n *node) {
	u.Gateway = Gateway{}
	if n.kind == scalar && (n.text == "auto" || n.text == "none") {
		u.Gateway.Auto = n.text == "auto"
		return
	}
	u.Gateway.Addresses = each(d, n, (*decoder).nextHop)
	if as := u.Gateway.Addresses; len(as) > 2 || len(as) == 2 && as[0].Is4() == as[1].Is4() {
		d.problem(n, "two gateways of one family", "an uplink has one IPv4 and one IPv6 gateway at most: make a second uplink of the other")
	}
}

func (d *decoder) snat(u *Uplink, n *node) {
	if n.kind == boolean {
		u.SNAT = d.truth(n)
		return
	}
	u.SNAT, u.SNATTo = true, each(d, n, (*decoder).addressRange)
	if to := u.SNATTo; len(to) > 2 || len(to) == 2 && to[0].First.Is4() == to[1].First.Is4() {
		d.problem(n, "two ranges of one family", "write one IPv4 and one IPv6 range at most")
	}
}

// addressRange reads an address, or two of them as in 192.0.2.8-192.0.2.15.
func (d *decoder) addressRange(n *node) (AddressRange, bool) {
	const hint = "write true, without quotes, 192.0.2.9 or 192.0.2.8-192.0.2.15"
	if n.kind != scalar {
		d.problem(n, "expected true or the addresses that packets get as their source, found "+describe(n), hint)
		return AddressRange{}, false
	}
	first, last, isRange := strings.Cut(n.text, "-")
	if !isRange {
		last = first
	}
	a, errA := netip.ParseAddr(first)
	b, errB := netip.ParseAddr(last)
	switch {
	case errA != nil || errB != nil || a.Is4() != b.Is4() || a.Zone()+b.Zone() != "" || a.Is4In6() || b.Is4In6():
		d.problem(n, fmt.Sprintf("%q is no address and no range of addresses", n.text), hint)
	case b.Less(a):
		d.problem(n, fmt.Sprintf("the range %s runs backwards", n.text), fmt.Sprintf("write %s-%s", b, a))
	case a.IsUnspecified() || a.IsLoopback() || a.IsMulticast():
		d.problem(n, fmt.Sprintf("%s cannot be a source", a), "write addresses that the far side can answer to")
	default:
		return AddressRange{a, b}, true
	}
	return AddressRange{}, false
}

func (d *decoder) nextHop(n *node) (netip.Addr, bool) {
	text, ok := d.scalar(n, "the address of a gateway")
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		d.problem(n, fmt.Sprintf("%q is not the address of a gateway", text), "write auto, none, or addresses such as [192.0.2.1, fe80::1]")
	case a.Zone() != "":
		d.problem(n, "a gateway needs no zone", "write "+a.WithZone("").String()+": the uplink's interface is meant")
	case a.Is4In6():
		d.problem(n, fmt.Sprintf("%s is an IPv4 address written as IPv6", text), "write "+a.Unmap().String())
	case a.IsUnspecified(), a.IsLoopback(), a.IsMulticast():
		d.problem(n, fmt.Sprintf("%s cannot be a gateway", a), "write the router's own address, auto, or none on a point-to-point link")
	default:
		return a, true
	}
	return netip.Addr{}, false
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

// name reads the name of an uplink or class. It returns a bad name too, so that
// a route that uses it is not called wrong as well.
func (d *decoder) name(n *node) string {
	text, ok := d.scalar(n, "a name")
	if ok && !nameForm.MatchString(text) {
		d.problem(n, fmt.Sprintf("%q is not a name", text), "use up to 63 letters, digits, dots, dashes and underscores, and begin with a letter or digit")
	}
	return text
}

func (d *decoder) interfaceName(n *node) (string, bool) {
	text, ok := d.scalar(n, "the name of an interface")
	if !ok {
		return "", false
	}
	problem, hint := interfaceProblem(text)
	if problem != "" {
		d.problem(n, fmt.Sprintf("%q %s", text, problem), hint)
	}
	return text, problem == ""
}

// IsInterface tells whether a policy can name an interface: the kernel takes names
// that a policy takes for a pattern, or for none.
func IsInterface(name string) bool {
	problem, _ := interfaceProblem(name)
	return problem == ""
}

func interfaceProblem(text string) (problem, hint string) {
	switch {
	case strings.ContainsAny(text, "*?%") || strings.HasSuffix(text, "+"):
		return "is a pattern", "name every interface by itself"
	case text == "" || len(text) > 15 || text == "." || text == ".." || !utf8.ValidString(text) || strings.ContainsFunc(text, notInInterface):
		return "is not the name of an interface", "an interface name has 1 to 15 bytes, without blanks, slashes and colons"
	}
	return "", ""
}

func notInInterface(r rune) bool {
	return r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsGraphic(r)
}
