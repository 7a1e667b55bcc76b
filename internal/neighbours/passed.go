// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"slices"

	"waymark/internal/plan"
)

// passed are the rules of others for some destinations alone that classes do not
// come to: Waymark's stand before.
func (h Host) passed() []plan.Rule {
	base, partial := h.base(), plan.Partial(h.Facts)
	return slices.DeleteFunc(slices.Clone(partial), func(r plan.Rule) bool {
		return int(r.Priority) < base || slices.ContainsFunc(partial, func(first plan.Rule) bool {
			return int(first.Priority) < base && first.Family == r.Family && first.Table == r.Table && (first.Other == "" || first.Other == r.Other)
		})
	})
}

func (h Host) passedFinding(r plan.Rule) Finding {
	where := r.Other
	if where == "" {
		where = "where table " + plan.TableName(r.Table) + " leads by more than a default"
	}
	before := r
	before.Priority, before.Protocol, before.Suppress = uint32(max(1, h.base()-1)), 0, r.Other == ""
	cure := fmt.Sprintf("have it found first, as main is: `ip %s rule add %s`", r.Family.Option(), before.Args())
	if base := h.free.Rules; base > int(r.Priority) {
		cure = fmt.Sprintf("begin behind it with `rules: {base: %d}`", base)
	}
	return Finding{Warning, r.String(), plan.Owner(r), "Waymark's rules come before it: what is in a class, and goes " + where + ", leaves by the class's uplink all the same", cure}
}
