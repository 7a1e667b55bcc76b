// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"strings"

	"waymark/internal/plan"
)

// Object is one thing of ours in the kernel.
type Object struct {
	Kind string // "rule", "route", "nat", "sysctl", "hook", "pin" or "map"
	Text string // as a command adds it, or its name

	where string // what tells it from others, as a notice of the kernel names it
}

const removal = "remove "

// Removed tells whether it is one too many, which was removed.
func (o Object) Removed() bool { return strings.HasPrefix(o.Text, removal) }

// added is the object that a removal is of.
func (o Object) added() Object { return Object{o.Kind, strings.TrimPrefix(o.Text, removal), o.where} }

func ruleObject(r plan.Rule) Object     { return Object{"rule", r.String(), whereRule(r)} }
func routeObject(r plan.Route) Object   { return Object{"route", r.String(), whereRoute(r)} }
func sysctlObject(s plan.Sysctl) Object { return Object{"sysctl", s.Name + "=" + s.Value, ""} }
func hookObject(h plan.Hook) Object     { return Object{"hook", h.Program + " at " + h.Place, ""} }

// tableObject is the nftables table, which is written whole.
var tableObject = Object{"nat", "nftables table inet " + plan.Nftables, ""}

// mapsObject is what the programs read, which is written whole.
var mapsObject = Object{"map", "classes and matches", ""}

func removed(o Object) Object { return Object{o.Kind, removal + o.Text, o.where} }

func whereRule(r plan.Rule) string { return r.String() }

// whereRoute is what a route has alone in its table.
func whereRoute(r plan.Route) string {
	return fmt.Sprintf("%s %s table %d metric %d", r.Family, r.Dst, r.Table, r.Metric)
}

// objectsOf are the objects of changes, in the order in which they can be made
// one by one: a hook at a new uplink comes before the routes by it. Of two that stand in for each other,
// such as a hook that goes and comes under one pin, it is the one that comes.
func objectsOf(c plan.Changes) (all []Object) {
	only(c, func(o Object) bool {
		all = append(all, o)
		return true
	})
	return all
}

// everything is a plan as the changes of an empty kernel.
func everything(p *plan.Plan) plan.Changes {
	return plan.Changes{AddRules: p.Rules, AddRoutes: p.Routes, Table: !p.Table().Empty(), SetSysctls: p.Sysctls, Attach: p.Hooks}
}

// only leaves the changes of some objects.
func only(c plan.Changes, keep func(Object) bool) plan.Changes {
	replaced := func(r plan.Route) bool {
		return slices.ContainsFunc(c.AddRoutes, func(n plan.Route) bool { return whereRoute(n) == whereRoute(r) })
	}
	again := func(h plan.Hook) bool {
		return slices.ContainsFunc(c.Attach, func(n plan.Hook) bool { return n.Pin == h.Pin })
	}
	return plan.Changes{
		Attach:       filter(c.Attach, func(h plan.Hook) bool { return keep(hookObject(h)) }),
		AddRules:     filter(c.AddRules, func(r plan.Rule) bool { return keep(ruleObject(r)) }),
		AddRoutes:    filter(c.AddRoutes, func(r plan.Route) bool { return keep(routeObject(r)) }),
		SetSysctls:   filter(c.SetSysctls, func(s plan.Sysctl) bool { return keep(sysctlObject(s)) }),
		GiveBack:     filter(c.GiveBack, func(s plan.Sysctl) bool { return keep(sysctlObject(s)) }),
		Detach:       filter(c.Detach, func(h plan.Hook) bool { return again(h) || keep(removed(hookObject(h))) }),
		DeleteRules:  filter(c.DeleteRules, func(r plan.Rule) bool { return keep(removed(ruleObject(r))) }),
		DeleteRoutes: filter(c.DeleteRoutes, func(r plan.Route) bool { return replaced(r) || keep(removed(routeObject(r))) }),
		Table:        c.Table && keep(tableObject),
		Classes:      c.Classes,
	}
}

func filter[T any](list []T, keep func(T) bool) (kept []T) {
	for _, x := range list {
		if keep(x) {
			kept = append(kept, x)
		}
	}
	return kept
}
