// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/plan"
)

// Intent is what a policy wants of a class in one family, with its uplinks
// as they are. It comes from the class's route alone, and not from the rules
// that a plan makes of it.
type Intent struct {
	Uplinks   []string          // names; any of them is right. None: no uplink of the route works
	Otherwise classes.Otherwise // what then happens
}

// IntentOf is what is wanted of a plan's class. A class that is unclassed,
// NoClass, may go anywhere.
func IntentOf(p *plan.Plan, class int, family plan.Family) Intent {
	if class == plan.NoClass {
		return Intent{Otherwise: classes.OtherwiseMain}
	}
	route := p.Classes[class].Route
	i := Intent{Otherwise: route.Otherwise}
	for _, name := range route.Uplinks {
		u := p.UplinkNamed(name)
		if u == nil || !u.Up || u.Withdrawn != "" || !u.Families[family] {
			continue
		}
		i.Uplinks = append(i.Uplinks, name)
		if route.Weights == nil {
			break
		}
	}
	return i
}

// String is the intent in words.
func (i Intent) String() string {
	switch {
	case len(i.Uplinks) > 0:
		return "uplink " + strings.Join(i.Uplinks, " or ")
	case i.free():
		return "main's own way"
	}
	return string(i.Otherwise)
}

// free tells whether any way is right.
func (i Intent) free() bool {
	return len(i.Uplinks) == 0 && (i.Otherwise == "" || i.Otherwise == classes.OtherwiseMain)
}

// Allows tells whether leaving by an uplink is right; "" is an interface that
// is no uplink.
func (i Intent) Allows(uplink string) bool { return i.free() || slices.Contains(i.Uplinks, uplink) }

// refuses tells whether nothing may leave.
func (i Intent) refuses() bool { return len(i.Uplinks) == 0 && !i.free() }

// judge says what is wrong with a way out that rules give. What main knows by
// more than its default is nobody's to choose.
func (i Intent) judge(p *plan.Plan, v plan.Verdict) (wrong []string) {
	leads := v.Does() == plan.Lookup
	switch {
	case v.Rule.Action == plan.Lookup && !v.Route.IsDefault() || i.free():
	case leads:
		for _, h := range v.Route.Hops {
			if name := behind(p, h.Interface); !i.Allows(name) {
				wrong = append(wrong, fmt.Sprintf("it leaves by %s and not by %s: %s sends it there", h.Interface, i, v.Rule))
			}
		}
		if i.refuses() {
			wrong = []string{fmt.Sprintf("it leaves by %s, though no uplink of its route works: %s sends it there, and the policy says %s", v.Interface, v.Rule, i)}
		}
	case len(i.Uplinks) > 0:
		wrong = []string{fmt.Sprintf("it does not leave by %s: %s", i, refusal(v))}
	case v.Route.Refuses == "" && v.Rule.Action != plan.Action(i.Otherwise):
		wrong = []string{fmt.Sprintf("the policy says %s: %s", i, refusal(v))}
	}
	return wrong
}

func refusal(v plan.Verdict) string {
	if v.Rule.Action == "" {
		return "no rule leads anywhere"
	}
	if v.Route.Refuses != "" {
		return fmt.Sprintf("%s finds %s", v.Rule, v.Route)
	}
	return v.Rule.String() + " refuses it"
}

// behind is the uplink that an interface is; "" for none.
func behind(p *plan.Plan, device string) string {
	for _, u := range p.Uplinks {
		if u.Interface == device {
			return u.Name
		}
	}
	return ""
}

// way is a verdict in words.
func way(v plan.Verdict) string {
	switch {
	case v.Rule.Action == "":
		return "no route"
	case v.Does() != plan.Lookup:
		return string(v.Does())
	case len(v.Route.Hops) > 1:
		var names []string
		for _, h := range v.Route.Hops {
			names = append(names, h.Interface)
		}
		return fmt.Sprintf("balanced over %s, table %s", strings.Join(names, " and "), plan.TableName(v.Rule.Table))
	}
	hop := "on the link"
	if v.Gateway.IsValid() {
		hop = "via " + v.Gateway.String()
	}
	text := fmt.Sprintf("%s dev %s", hop, v.Interface)
	if v.Source.IsValid() {
		text += " from " + v.Source.String()
	}
	return text + ", table " + plan.TableName(v.Rule.Table)
}
