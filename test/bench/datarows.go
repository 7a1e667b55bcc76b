// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// ofNft is what Waymark adds as a part of what nft's best form adds.
func ofNft(r *report, f form, rules int, job, what string, bound float64) row {
	x := row{What: what + of(job), Policy: policyName(f, rules), Bound: bound}
	b, why := r.measured(f, rules, job)
	if b == nil {
		return x.without(why)
	}
	ours, theirs := b.arm(armWaymark), b.bestOfNft()
	if ours == nil || theirs == nil {
		return x.without("not measured: an arm stood aside")
	}
	return x.compared(ours, theirs)
}

// compared is what one arm adds over what another adds.
func (r row) compared(ours, theirs *armFigs) row {
	r.Beside = named(ours, theirs)
	if theirs.Added.Low <= 0 {
		return r.without("no figure: what it is compared with is lost in the noise")
	}
	r.sure(len(ours.added), func(pick []int) float64 { return medianOf(ours.added, pick) / medianOf(theirs.added, pick) })
	return r.judged(ours.Added.Median / theirs.Added.Median)
}

func ofEmpty(r *report, f form, rules int, job string) row {
	x := row{What: "added per datagram, of an empty tcx program" + of(job), Policy: policyName(f, rules), Bound: mostOfEmpty}
	b, why := r.measured(f, rules, job)
	if b == nil {
		return x.without(why)
	}
	return x.compared(b.arm(armWaymark), b.arm(armEmpty))
}

// of tells the rows of unconnected sockets, whose every datagram is
// classed, from those of connected ones.
func of(job string) string {
	if job == unconnected {
		return ", unconnected"
	}
	return ""
}

// growth is how much more Waymark adds with all rules than with one.
func growth(r *report, f form, job string) row {
	x := row{What: "growth of that, 1 to " + grouped(mostRules) + " rules" + of(job), Policy: string(f), Bound: 100 * mostGrowth, Unit: "%"}
	small, large, x := r.ends(x, f, job)
	if small == nil {
		return x
	}
	return x.grown(small, large, func(ratio float64) float64 { return 100 * (ratio - 1) })
}

// flowGrowth is what a new flow costs with all 5-tuple rules over what it
// costs with one.
func flowGrowth(r *report) row {
	x := row{What: "added per new flow, " + grouped(mostRules) + " rules over 1", Policy: string(byTuple), Bound: mostFlowGrowth}
	small, large, x := r.ends(x, byTuple, flows)
	if small == nil {
		return x
	}
	return x.grown(small, large, func(ratio float64) float64 { return ratio })
}

// grown is what one figure of Waymark adds over what another does.
func (r row) grown(small, large *armFigs, of func(ratio float64) float64) row {
	if small.Added.Low <= 0 {
		return r.without("no figure: what one rule adds is lost in the noise")
	}
	r.sure(max(len(small.added), len(large.added)), func(pick []int) float64 {
		return of(medianOf(large.added, pick) / medianOf(small.added, pick))
	})
	return r.judged(of(large.Added.Median / small.Added.Median))
}

// ends are Waymark's figures with one rule and with all, or nil and the row that says why.
func (r *report) ends(x row, f form, job string) (small, large *armFigs, judged row) {
	one, why := r.measured(f, smallest, job)
	if one == nil {
		return nil, nil, x.without(why)
	}
	all, why := r.measured(f, mostRules, job)
	if all == nil {
		return nil, nil, x.without(why)
	}
	small, large = one.arm(armWaymark), all.arm(armWaymark)
	x.Beside = fmt.Sprintf("(%s, %s)", signed(small.Added.Median), signed(large.Added.Median))
	return small, large, x
}

// ofBare is Waymark's rate as a part of a bare host's.
func ofBare(r *report, f form, rules int, job string) row {
	what := map[string]string{bulk: "TCP bulk throughput, of bare", roundTrips: "TCP_RR, of bare"}[job]
	x := row{What: what, Policy: policyName(f, rules), Bound: leastOfBare, AtLeast: true}
	b, why := r.measured(f, rules, job)
	if b == nil {
		return x.without(why)
	}
	ours := b.arm(armWaymark)
	x.sure(len(ours.ratio), func(pick []int) float64 { return medianOf(ours.ratio, pick) })
	return x.judged(ours.Ratio.Median)
}
