// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"fmt"
	"net/netip"

	"waymark/internal/plan"
)

// checkRule tells why a rule is not one that Waymark writes and the kernel
// would give back as it is.
func checkRule(r plan.Rule) error {
	_, known := actions[r.Action]
	switch {
	case r.Protocol != plan.Protocol:
		return fmt.Errorf("its protocol is %d; only rules of protocol %d are Waymark's to change", r.Protocol, plan.Protocol)
	case r.Family != plan.IPv4 && r.Family != plan.IPv6:
		return fmt.Errorf("unknown family %d", r.Family)
	case !known:
		return fmt.Errorf("unknown action %q", r.Action)
	case r.Other != "":
		return fmt.Errorf("selectors %q are never Waymark's", r.Other)
	case len(r.OIF) > 15:
		return fmt.Errorf("%q is not the name of an interface", r.OIF)
	case r.Mark&^r.Mask != 0:
		return fmt.Errorf("mark %#x has bits outside mask %#x", r.Mark, r.Mask)
	case r.From.IsValid() && r.From.Bits() == 0:
		return fmt.Errorf("source %s selects all: leave it out", r.From)
	}
	return errors.Join(checkPrefix(r.From, r.Family), checkTarget(r))
}

func checkTarget(r plan.Rule) error {
	switch {
	case r.Action == plan.Lookup && r.Table == 0:
		return errors.New("no table to look up")
	case r.Action != plan.Lookup && (r.Table != 0 || r.Suppress):
		return fmt.Errorf("action %s takes no table", r.Action)
	}
	return nil
}

// checkRoute tells why a route is not one that Waymark writes.
func checkRoute(r plan.Route) error {
	switch {
	case r.Protocol != plan.Protocol:
		return fmt.Errorf("its protocol is %d; only routes of protocol %d are Waymark's to change", r.Protocol, plan.Protocol)
	case r.Family != plan.IPv4 && r.Family != plan.IPv6:
		return fmt.Errorf("unknown family %d", r.Family)
	case r.Table == 0:
		return errors.New("it names no table")
	case !r.Dst.IsValid():
		return errors.New("it has no destination")
	}
	return checkPrefix(r.Dst, r.Family)
}

func checkHops(r plan.Route) error {
	if len(r.Hops) == 0 {
		return errors.New("it has no next hop")
	}
	for _, h := range r.Hops {
		if len(r.Hops) > 1 && (h.Weight < 1 || h.Weight > 256) {
			return fmt.Errorf("weight %d of %s is not within 1 to 256", h.Weight, h.Interface)
		}
		if h.Gateway.Is4() && r.Family == plan.IPv6 || h.Gateway.Is4In6() {
			return fmt.Errorf("gateway %s is not of family %s", h.Gateway, r.Family)
		}
	}
	if r.Source.IsValid() && r.Source.Is4() != (r.Family == plan.IPv4) {
		return fmt.Errorf("source %s is not of family %s", r.Source, r.Family)
	}
	return nil
}

// checkPrefix tells why a prefix, where there is one, is not a network of
// the family.
func checkPrefix(p netip.Prefix, f plan.Family) error {
	switch {
	case !p.IsValid():
		return nil
	case p.Addr().Is4() != (f == plan.IPv4):
		return fmt.Errorf("%s is not of family %s", p, f)
	case p != p.Masked():
		return fmt.Errorf("%s has bits behind its length: write %s", p, p.Masked())
	}
	return nil
}
