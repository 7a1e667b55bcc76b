// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"waymark/internal/plan"
)

// place is where a rule stands.
type place struct {
	family   plan.Family
	priority uint32
}

// target is the priority that a rule goes to.
func target(r plan.Rule) (priority uint32, is bool) {
	text, is := strings.CutPrefix(string(r.Action), "goto ")
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), is && err == nil
}

// lands tells whether there is a rule that a goto goes to; without one it does
// nothing. The kernel's own are there also where only files were read.
func (c *carrier) lands(f plan.Family, to uint32) bool {
	return c.stands[place{f, to}] || to == 32766 || to == 32767
}

// unskipped are the rules of a family, without those that a goto for everything
// skips, and without that goto: all that it does is done.
func (c *carrier) unskipped(rules []rule) []rule {
	for k := 0; k < len(rules); k++ {
		r := rules[k]
		to, is := target(r.Rule)
		if !is || !c.lands(r.Family, to) || !sameTraffic(r.Rule, plan.Rule{Family: r.Family}) {
			continue
		}
		end := k + 1
		for ; end < len(rules) && rules[end].Priority < to; end++ {
			c.leave(rules[end].origin, fmt.Sprintf("the rule %d goes past it, with all that there is: it steers nothing", r.Priority))
		}
		rules = slices.Delete(rules, k, end)
		k--
	}
	return rules
}

// wayOfGoto is where a rule sends that goes past others: main's way, if that is
// all there is behind them.
func (c *carrier) wayOfGoto(rules []rule, k int) (way, error) {
	r := rules[k]
	to, _ := target(r.Rule)
	main := c.mainAt[r.Family]
	switch {
	case !c.lands(r.Family, to):
		return way{}, fmt.Errorf("there is no rule %d to go to: it steers nothing", to)
	case main != 0 && to > main, slices.ContainsFunc(rules[k+1:], func(o rule) bool { return o.Priority >= to }):
		return way{}, fmt.Errorf("a class does not go past others: the rules before %d are carried as if they took this as well: make it a class before theirs", to)
	}
	return c.wayOf(plan.TableMain, r.Family)
}
