// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"errors"
	"fmt"
	"net/netip"

	"waymark/internal/plan"
	"waymark/internal/registry"
)

// kernelFindings say what the kernel lacks.
func kernelFindings(h Host) (found []Finding) {
	if h.Lacks != nil {
		found = append(found, Finding{Serious, h.Lacks.Error(), "", "no policy can be applied here", "boot another kernel"})
	}
	for _, f := range plan.Families {
		if h.Facts.Silent[f] {
			found = append(found, Finding{Note, fmt.Sprintf("this kernel's bpf_fib_lookup does not tell the way of a class, %s", f), "",
				"packets on a wrong way are counted by cause, and not sent by the right one", "Linux 6.10 does"})
		}
	}
	return found
}

// conflictFindings are what keeps the policy from being applied, and rules
// that take its packets before its own.
func conflictFindings(h Host) (found []Finding) {
	var conflicts plan.Conflicts
	errors.As(h.Conflict, &conflicts)
	for _, c := range conflicts {
		found = append(found, Finding{Serious, c.What + " is not free", c.Owner, "the policy cannot be applied beside it", c.Cure})
	}
	if h.Plan != nil {
		for _, c := range h.Plan.Covers(h.Facts) {
			found = append(found, Finding{Serious, c, "", "classes go where that rule says", ""})
		}
	}
	return found
}

// ruleFindings are other people's rules that look at the mark, or are of a
// tool that is known.
func ruleFindings(h Host) (found []Finding) {
	for _, r := range h.Facts.Rules {
		switch {
		case r.Protocol == plan.Protocol:
		case r.Mask != 0:
			remove := fmt.Sprintf("ip %s rule del %s", r.Family.Option(), r.Args())
			found = append(found, h.markFinding(r.String(), plan.Owner(r), Mark{r.Mark, r.Mask}, remove))
		case registry.Owner(registry.Use{Priority: r.Priority, Table: r.Table}) != nil:
			found = append(found, Finding{Note, r.String(), plan.Owner(r), "its priority and its table are taken", ""})
		}
	}
	return found
}

// markFinding judges a match on a mark.
func (h Host) markFinding(what, owner string, m Mark, remove string) Finding {
	t := registry.Tool{Mark: m.Mark, Mask: m.Mask}
	common := t.Bits() & uint32(h.Mask)
	switch {
	case common != 0:
		return Finding{Serious, what, owner, fmt.Sprintf("it takes the bits %#x of the fwmark for its own, and they are Waymark's", common),
			fmt.Sprintf("leave them out with `mark: {mask: %#x}`, or `%s`", uint32(h.Mask)&^common, remove)}
	case t.Whole():
		return Finding{Warning, what, owner, fmt.Sprintf("it matches the whole mark: with a class's bits beside it, %#x is another. Waymark leaves sockets with that mark alone, and they are in no class", m.Mark), ""}
	}
	return Finding{Note, what, owner, fmt.Sprintf("the bits %#x of the fwmark are its own; Waymark never changes them", m.Mask), ""}
}

// routeFindings are routes that make main know more than it should.
func routeFindings(h Host) (found []Finding) {
	for _, family := range plan.Families {
		low, high := "0.0.0.0/1", "128.0.0.0/1"
		if family == plan.IPv6 {
			low, high = "::/1", "8000::/1"
		}
		if a, b := h.mains(low), h.mains(high); a != nil && b != nil {
			found = append(found, Finding{Serious, fmt.Sprintf("main has two half default routes, %s and %s, by %s", low, high, a.Hops[0].Interface), "OpenVPN's redirect-gateway def1, or its like",
				"main knows every address by more than its default, so that it answers for every class before the class's own table", "have the tunnel set a plain default route, and not def1; or say `strict: true` in every class"})
		}
	}
	return found
}

// mains is a route of main; nil for none.
func (h Host) mains(prefix string) *plan.Route {
	p := netip.MustParsePrefix(prefix)
	for i := range h.Facts.Routes {
		r := &h.Facts.Routes[i]
		if r.Table == plan.TableMain && r.Dst == p && len(r.Hops) > 0 {
			return r
		}
	}
	return nil
}

func xfrmFindings(h Host) (found []Finding) {
	for _, m := range h.Xfrm {
		if m.Mask != 0 {
			found = append(found, h.markFinding(fmt.Sprintf("an IPsec policy or state with mark %#x/%#x", m.Mark, m.Mask), knownFor(m), m, "ip xfrm policy"))
		}
	}
	return found
}

// socketFindings are sockets that carry bits of ours while no class does.
func socketFindings(h Host) (found []Finding) {
	bits := uint32(0)
	for mark := range h.Facts.InUse {
		ours := mark & uint32(h.Mask)
		if ours != 0 && (h.Plan == nil || h.Plan.ClassOf(mark) == nil && !h.Plan.Holds(mark)) {
			bits |= ours
		}
	}
	if bits != 0 {
		found = append(found, Finding{Serious, fmt.Sprintf("open sockets carry the bits %#x of the fwmark", bits), knownFor(Mark{bits, bits}),
			"they look like a class's, and no class gave it to them", "find their owner with `ss -e state all | grep fwmark`, and leave those bits to it: `mark: {mask: ...}`"})
	}
	return found
}

// knownFor is the tool that is known for a mark; "" for none.
func knownFor(m Mark) string {
	if t := registry.Owner(registry.Use{Mark: m.Mark, Mask: m.Mask}); t != nil {
		return t.Name
	}
	return ""
}
