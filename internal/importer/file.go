// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"waymark/classes"
	"waymark/internal/plan"
)

// fileRoute is a route as a file says it; "" for what it does not say.
type fileRoute struct {
	device, to, via, table, metric string
	does                           string // Type=
	hops                           []fileHop
}

// fileHop is one of several next hops.
type fileHop struct {
	device, via string
	weight      int
}

// fileRule is a rule as a file says it.
type fileRule struct {
	from, table, priority, mark, family string
	does, suppress                      string   // Type= and SuppressPrefixLength=
	other                               []string // as ip(8) takes it
}

// addFileRoute adds a default route; what else main knows is found there by
// Waymark, and what else another table knows is named.
func (c *carrier) addFileRoute(r fileRoute) error {
	table, err := c.table(r.table)
	if err != nil {
		c.leave(fmt.Sprintf("route to %s by %s, table %s", r.to, cmp.Or(r.device, "an interface without a name"), r.table), err.Error())
		return nil
	}
	if a := plan.Action(r.does); r.sendsNothing() && !refuses(a) && a != plan.Throw {
		c.leave(fmt.Sprintf("route to %s of type %s", r.to, r.does), "a class has no such route")
		return nil
	}
	hops, named := r.nextHops()
	if !named {
		c.leave("route to "+r.to+" by "+cmp.Or(r.device, "an interface without a name"), "the file does not name one interface for it: write the uplink by hand")
		return nil
	}
	route := plan.Route{Family: plan.IPv4, Table: table, Hops: hops}
	if len(hops) == 0 {
		route.Refuses = plan.Action(r.does)
	}
	switch to, err := prefix(r.to); {
	case r.to == "default" || r.to == "0.0.0.0/0" || r.to == "::/0":
		if r.to == "::/0" || len(hops) > 0 && hops[0].Gateway.Is6() {
			route.Family = plan.IPv6
		}
		route.Dst = route.Family.Default()
	case err != nil:
		return err
	default:
		route.Family, route.Dst = plan.FamilyOf(to.Addr()), to
	}
	if n, err := strconv.ParseUint(r.metric, 10, 32); err == nil {
		route.Metric = uint32(n)
	}
	for _, h := range hops {
		c.addFileAddress(h.Interface, "")
	}
	c.facts.Routes = append(c.facts.Routes, route)
	return nil
}

// nextHops are a route's, none of one that refuses. named is false if the file
// names no interface for one of them.
func (r *fileRoute) nextHops() (hops []plan.NextHop, named bool) {
	if r.sendsNothing() {
		return nil, true
	}
	of := r.hops
	if of == nil {
		of = []fileHop{{r.device, r.via, 0}}
	}
	for _, h := range of {
		if !classes.IsInterface(h.device) {
			return nil, false
		}
		hop := plan.NextHop{Interface: h.device, Weight: h.weight}
		if g, err := netip.ParseAddr(h.via); err == nil && !g.IsUnspecified() && !g.IsLoopback() && !g.IsMulticast() {
			hop.Gateway = g.Unmap().WithZone("")
		}
		hops = append(hops, hop)
	}
	return hops, true
}

func (r *fileRoute) sendsNothing() bool { return r.does != "" && r.does != "unicast" }

// addFileAddress makes an interface known, with an address if the text is one.
func (c *carrier) addFileAddress(device, text string) {
	if !classes.IsInterface(device) {
		return
	}
	link := c.facts.Links[device]
	if p, err := netip.ParsePrefix(text); err == nil && !slices.Contains(link.Addresses, p) {
		link.Addresses = append(slices.Clone(link.Addresses), p)
	}
	links := maps.Clone(c.facts.Links)
	if links == nil {
		links = map[string]plan.Link{}
	}
	links[device], c.facts.Links = link, links
}

// addFileRule adds a rule; one without an address is of the families that the
// file says, IPv4 if it says none.
func (c *carrier) addFileRule(file string, f fileRule) error {
	r, err := f.rule()
	if err != nil {
		return err
	}
	if r.Action == plan.Lookup {
		if r.Table, err = c.table(f.table); err != nil {
			r.Action = plan.Action("lookup " + f.table)
			c.leave(file+": "+r.Args(), err.Error())
			return nil
		}
	}
	families := []plan.Family{r.Family}
	switch strings.ToLower(f.family) {
	case "both":
		families = plan.Families
	case "ipv6":
		families = []plan.Family{plan.IPv6}
	}
	for _, r.Family = range families {
		c.addRule(r, file+": "+r.Args())
	}
	return nil
}

// rule is the rule in numbers but for its table, of the family of its addresses.
func (f *fileRule) rule() (r plan.Rule, err error) {
	r = plan.Rule{Family: plan.IPv4, Action: plan.Lookup, Other: strings.Join(f.other, " "), Suppress: f.suppress == "0"}
	if f.from != "" && f.from != "all" {
		if r.From, err = prefix(f.from); err != nil {
			return r, err
		}
		if r.Family = plan.FamilyOf(r.From.Addr()); r.From.Bits() == 0 {
			r.From = netip.Prefix{}
		}
	}
	if to := strings.Fields(r.Other + " "); len(to) > 1 && to[0] == "to" && strings.Contains(to[1], ":") {
		r.Family = plan.IPv6
	}
	if n, err := strconv.ParseUint(f.priority, 10, 32); err == nil {
		r.Priority = uint32(n)
	}
	if f.does != "" && f.does != "table" {
		r.Action = plan.Action(f.does)
	}
	if f.mark != "" {
		r.Mark, r.Mask, err = markAndMask(f.mark)
	}
	return r, err
}

// markAndMask reads MARK or MARK/MASK.
func markAndMask(text string) (mark, mask uint32, err error) {
	value, bits, masked := strings.Cut(text, "/")
	if mark, err = number(value); err != nil || !masked {
		return mark, 1<<32 - 1, err
	}
	mask, err = number(bits)
	return mark, mask, err
}
