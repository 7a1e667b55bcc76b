// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// row is one bound and how it was kept.
type row struct {
	What    string   `json:"what"`
	Policy  string   `json:"policy"`
	Value   *float64 `json:"value"`          // null: not measured, or void
	Sure    *between `json:"sure,omitempty"` // where the value lies with 95 % confidence
	Unit    string   `json:"unit,omitempty"` // "" for ratios
	Bound   float64  `json:"bound"`
	AtLeast bool     `json:"atLeast"` // the bound is a least, not a most
	Verdict string   `json:"verdict"` // "met", "missed by ...", or why there is none
	Beside  string   `json:"beside"`  // the figures that the value comes from
}

// between are two bounds of a value.
type between struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// sure says where the row's value lies with 95 % confidence.
func (r *row) sure(turns int, figure func(pick []int) float64) {
	r.Sure = &between{}
	r.Sure.Low, r.Sure.High = interval(turns, figure)
}

// judged gives a row its verdict.
func (r row) judged(value float64) row {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return r.without("no figure")
	}
	r.Value = &value
	over := value/r.Bound - 1
	if r.AtLeast {
		over = -over
	}
	if r.Verdict = "met"; over > 0 {
		r.Verdict = fmt.Sprintf("missed by %.*f %%", decimals(over), 100*over)
	}
	if r.Sure != nil && r.Sure.Low < r.Bound && r.Bound < r.Sure.High {
		r.Verdict += ", within the error"
	}
	return r
}

func decimals(part float64) int {
	if part < 1 {
		return 1
	}
	return 0
}

// without is a row that has no value.
func (r row) without(why string) row {
	r.Verdict = why
	return r
}

// The bounds.
const (
	mostOfNft      = 0.12
	mostOfEmpty    = 1.6
	mostGrowth     = 0.05
	mostFlowOfNft  = 0.6
	mostFlowGrowth = 2
	leastOfBare    = 0.99
	leastOfCounted = 0.98
	mostLookup     = 1.2
	mostApply      = 3000 // ms
	mostChange     = 250  // ms
	mostMemory     = 64   // MiB
	mostPerClass   = 2    // KiB
	smallest       = 1
)

// rows holds what was measured against the bounds.
func rows(r *report, o options) (all []row) {
	for _, f := range o.forms {
		for _, job := range []string{datagrams, unconnected} {
			for _, n := range o.rules {
				all = append(all, ofNft(r, f, n, job, "added per datagram, of nft's best form", mostOfNft), ofEmpty(r, f, n, job))
			}
			all = append(all, growth(r, f, job))
		}
	}
	all = append(all,
		ofNft(r, byCgroup, smallest, flows, "added per new flow, of nft's best form", mostFlowOfNft), flowGrowth(r))
	for _, f := range o.forms {
		for _, n := range o.rules {
			if f == byTuple && n == smallest {
				continue // its one rule is for UDP
			}
			all = append(all, ofBare(r, f, n, bulk), ofBare(r, f, n, roundTrips))
		}
	}
	for _, job := range counted {
		all = append(all, ofTelemetry(r, job))
	}
	return append(all, append([]row{lookups(r)}, control(r, o)...)...)
}

func (r *report) printRows(w io.Writer) {
	title := "What must hold"
	if why := r.Environment.provisional(); why != "" {
		title += " (PROVISIONAL: " + why + ")"
	}
	fmt.Fprintf(w, "\n%s\n", title)
	g := &grid{words: 2}
	g.add("what", "policy", "value", "95 %", "bound", "verdict")
	for _, x := range r.Rows {
		g.add(x.cells()...)
	}
	g.print(w)
}

func (r *row) cells() []string {
	value, spread, sign := "-", "", "<="
	if r.Value != nil {
		value = strings.TrimSpace(fmt.Sprintf("%.3f %s", *r.Value, r.Unit))
	}
	if r.Sure != nil {
		spread = fmt.Sprintf("%.3f to %.3f", r.Sure.Low, r.Sure.High)
	}
	if r.AtLeast {
		sign = ">="
	}
	bound := strings.TrimSpace(fmt.Sprintf("%s %g %s", sign, r.Bound, r.Unit))
	return []string{r.What, r.Policy, value, spread, bound, strings.TrimSpace(r.Verdict + " " + r.Beside)}
}

// measured finds what a row needs: a measurement that is not void, or why not.
func (r *report) measured(f form, rules int, job string) (b *block, why string) {
	b = r.block(f, rules, job)
	switch {
	case b == nil:
		return nil, fmt.Sprintf("not measured: needs -rules %d -forms %s", rules, f)
	case b.Void != "":
		return nil, "void: " + b.Void
	}
	return b, ""
}

// bestOfNft is the arm of nft that added least.
func (b *block) bestOfNft() (best *armFigs) {
	for _, name := range bestForms {
		if f := b.arm(name); f != nil && (best == nil || f.Added.Median < best.Added.Median) {
			best = f
		}
	}
	return best
}

func policyName(f form, rules int) string { return fmt.Sprintf("%s, %s", f, count(rules, "rule")) }

// named lists figures beside a row's value.
func named(figs ...*armFigs) (text string) {
	for i, f := range figs {
		if i > 0 {
			text += ", "
		}
		text += f.Arm + " " + signed(f.Added.Median)
	}
	return "(" + text + ")"
}
