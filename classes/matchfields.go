// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var matchFields = []field[Match]{
	{key: "cgroup", example: "backup.slice", read: func(d *decoder, m *Match, n *node) { m.Cgroup = eachIn(d, &d.paths, n, (*decoder).cgroup) }},
	{key: "unit", example: "backup.service", read: (*decoder).units},
	{key: "container", example: "{name: backup}", read: (*decoder).containers},
	{key: "uid", example: "[trader, 2000-2099]", read: func(d *decoder, m *Match, n *node) { m.UID = each(d, n, (*decoder).user) }},
	{key: "proto", example: "tcp", read: func(d *decoder, m *Match, n *node) { m.Proto = eachIn(d, &d.protocols, n, (*decoder).protocol) }},
	{key: "src", example: "192.0.2.0/24", read: func(d *decoder, m *Match, n *node) { m.Src = eachIn(d, &d.prefixes, n, (*decoder).prefix) }},
	{key: "dst", example: "192.0.2.0/24", read: func(d *decoder, m *Match, n *node) { m.Dst = eachIn(d, &d.prefixes, n, (*decoder).prefix) }},
	{key: "sport", example: "[443, 8000-8100]", read: func(d *decoder, m *Match, n *node) { m.Sport = eachIn(d, &d.portRanges, n, (*decoder).ports) }},
	{key: "dport", example: "[443, 8000-8100]", read: func(d *decoder, m *Match, n *node) { m.Dport = eachIn(d, &d.portRanges, n, (*decoder).ports) }},
	{key: "iif", example: "br0", read: func(d *decoder, m *Match, n *node) { m.IIF = each(d, n, (*decoder).interfaceName) }},
}

// cgroupMount is where every host mounts its cgroup trees.
const cgroupMount = "sys/fs/cgroup/"

func (d *decoder) cgroup(n *node) (string, bool) {
	text, ok := d.scalar(n, "the path of a cgroup")
	if !ok {
		return "", false
	}
	clean := strings.TrimPrefix(path.Clean("/"+text), "/")
	switch err := checkGlobs(clean); {
	case slices.Contains(strings.Split(text, "/"), ".."):
		d.problem(n, fmt.Sprintf("the cgroup path %q goes up by ..", text), "write the path from the root of the cgroup tree")
	case strings.HasPrefix(clean, cgroupMount):
		d.problem(n, fmt.Sprintf("the cgroup path %q begins where the tree is mounted", text), "write the path from the root of the cgroup tree, as in /proc/PID/cgroup")
	case clean == "":
		d.problem(n, fmt.Sprintf("the cgroup path %q names no cgroup", text), "write a path such as system.slice/nginx.service, as in /proc/PID/cgroup")
	case err != nil:
		d.problem(n, fmt.Sprintf("the cgroup path %q has a bad pattern", text), err.Error())
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }):
		d.problem(n, fmt.Sprintf("the cgroup path %q has a control character", text), `write 'single quotes' around names with backslashes, such as a systemd unit's \x2d`)
	default:
		return clean, true
	}
	return "", false
}

func checkGlobs(path string) error {
	for name := range strings.SplitSeq(path, "/") {
		if _, err := ParseGlob(name); err != nil {
			return err
		}
	}
	return nil
}

var userForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*[$]?$`)

func (d *decoder) user(n *node) (User, bool) {
	const want = "a user, a user id or a range of them"
	text, ok := d.scalar(n, want)
	if !ok {
		return User{}, false
	}
	if userForm.MatchString(text) {
		return User{Name: text, Pos: d.pos(n)}, true
	}
	lo, hi, ok := d.span(n, text, want, "trader or 2000-2099", 0, 1<<32-2)
	return User{Lo: uint32(lo), Hi: uint32(hi), Pos: d.pos(n)}, ok
}

func (d *decoder) ports(n *node) (PortRange, bool) {
	const want = "a port or a range of ports"
	text, ok := d.scalar(n, want)
	if !ok {
		return PortRange{}, false
	}
	lo, hi, ok := d.span(n, text, want, "443 or 8000-8100", 1, 65535)
	return PortRange{uint16(lo), uint16(hi)}, ok
}

func (d *decoder) protocol(n *node) (uint8, bool) {
	text, ok := d.scalar(n, "a protocol")
	if !ok {
		return 0, false
	}
	if p, err := Protocol(text); err == nil {
		return p, true
	}
	hint := fmt.Sprintf("write a number from 0 to 255, or one of %s", strings.Join(protocolWords, ", "))
	if near := closest(text, protocolWords); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	d.problem(n, fmt.Sprintf("%q is not a protocol", text), hint)
	return 0, false
}

func (d *decoder) prefix(n *node) (netip.Prefix, bool) {
	text, ok := d.scalar(n, "an address or a prefix")
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := parsePrefix(text)
	switch address, _, zone := strings.Cut(text, "%"); {
	case zone:
		d.problem(n, fmt.Sprintf("%q has a zone", text), "write "+address+"; an interface goes into iif")
	case err != nil:
		d.problem(n, fmt.Sprintf("%q is not an address or a prefix", text), "write an address such as 192.0.2.7 or a prefix such as 192.0.2.0/24; host names are not looked up")
	case p.Addr().Is4In6():
		v4 := netip.PrefixFrom(p.Addr().Unmap(), max(0, p.Bits()-96))
		d.problem(n, fmt.Sprintf("%s is an IPv4 address written as IPv6", text), "write "+prefixText(v4.Masked()))
	case p.Masked() != p:
		d.problem(n, fmt.Sprintf("%s has bits set beyond its length", text), fmt.Sprintf("write %s for the network, or %s for the one address", p.Masked(), p.Addr()))
	default:
		return p, true
	}
	return netip.Prefix{}, false
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	return netip.PrefixFrom(a, a.BitLen()), err
}

// checkMatch looks at fields that can each be right and yet never agree.
func (d *decoder) checkMatch(n *node, m *Match) {
	if len(m.Sport)+len(m.Dport) > 0 {
		for _, p := range m.Proto {
			if !hasPorts(p) {
				d.problem(n.value("proto"), fmt.Sprintf("%s has no ports", protocolName(p)), "leave the ports out, or name only "+portProtocolNames)
			}
		}
	}
	if m.Cgroup != nil && m.Unit != nil {
		d.problem(n.value("unit"), "cgroup and unit in one match: a unit is a cgroup", "keep the one that says more, or make two matches of them")
	}
	if m.Container != nil && (m.Cgroup != nil || m.Unit != nil) {
		d.problem(n.value("container"), "container beside cgroup or unit in one match: a container is a cgroup", "keep the one that says more, or make two matches of them")
	}
	if v4, v6 := m.families(); !v4 && !v6 {
		d.problem(n, "src and dst are of different families: no packet can match", "name an IPv4 or an IPv6 prefix in both")
	}
}

// families returns which address families the match can take.
func (m *Match) families() (v4, v6 bool) {
	has := func(ps []netip.Prefix, v4 bool) bool {
		return len(ps) == 0 || slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Addr().Is4() == v4 })
	}
	return has(m.Src, true) && has(m.Dst, true), has(m.Src, false) && has(m.Dst, false)
}
