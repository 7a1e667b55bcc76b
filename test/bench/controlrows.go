// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// lookups is the slowest route lookup of many classes over that of one.
func lookups(r *report) row {
	x := row{What: fmt.Sprintf("route lookup, %s classes over %d routes, of 1 class", grouped(lookupClasses), lookupRoutes), Bound: mostLookup}
	if r.Lookups.Void != "" {
		return x.without("void: " + r.Lookups.Void)
	}
	if len(r.Lookups.Lookups) == 0 {
		return x.without("not measured")
	}
	one, slowest := r.Lookups.Lookups[0], r.Lookups.slowest()
	x.Beside = fmt.Sprintf("(%.1f ns, the slowest route %.1f ns)", one.NS.Median, slowest.NS.Median)
	return x.judged(slowest.Ratio.Median)
}

// control are the rows of what is not traffic.
func control(r *report, o options) (all []row) {
	for _, f := range o.forms {
		fresh := row{What: "compile and apply " + grouped(mostRules) + " rules from text", Policy: string(f), Bound: mostApply, Unit: "ms"}
		change := row{What: "change one rule of them", Policy: string(f), Bound: mostChange, Unit: "ms"}
		a := r.applied(f, mostRules)
		if a == nil {
			why := fmt.Sprintf("not measured: needs -rules %d", mostRules)
			all = append(all, fresh.without(why), change.without(why))
			continue
		}
		fresh.Beside = fmt.Sprintf("(reading %s, the rest %s)", short(a.FreshRead), short(a.FreshApply))
		change.Beside = fmt.Sprintf("(reading %s, the rest %s)", short(a.ChangeRead), short(a.ChangeApply))
		all = append(all, fresh.judged(milliseconds(a.Fresh)), change.judged(milliseconds(a.Change)))
	}
	return append(all, memory(r), perClass(r))
}

func (r *report) applied(f form, rules int) *applyTimes {
	for i := range r.Applies {
		if a := &r.Applies[i]; a.Form == f && a.Rules == rules {
			return a
		}
	}
	return nil
}

func memory(r *report) row {
	x := row{What: "kernel memory", Policy: fmt.Sprintf("%s rules, %s cgroups", grouped(mostRules), grouped(mostCgroups)), Bound: mostMemory, Unit: "MiB"}
	for _, h := range r.Memory {
		if h.Rules == mostRules && h.Cgroups == mostCgroups {
			return x.judged(mebibytes(h.Bytes))
		}
	}
	return x.without(fmt.Sprintf("not measured: needs -rules %d -forms %s", mostRules, byCgroup))
}

// perClass spreads all of an instance over its classes and uplinks.
func perClass(r *report) row {
	x := row{What: "kernel memory per class and uplink", Bound: mostPerClass, Unit: "KiB"}
	for _, c := range r.Classes {
		if c.Classes == lookupClasses {
			x.Policy = fmt.Sprintf("%s classes, %d uplinks", grouped(c.Classes), c.Uplinks)
			name, bytes := c.Held.largest()
			x.Beside = fmt.Sprintf("(%.2f MiB in all, of it %s %.2f)", mebibytes(c.Held.Bytes), name, mebibytes(bytes))
			return x.judged(float64(c.Held.Bytes) / 1024 / float64(c.Classes*c.Uplinks))
		}
	}
	return x.without("not measured")
}
