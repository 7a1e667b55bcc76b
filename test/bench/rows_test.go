// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		xs   []float64
		want spreadOf
	}{
		{[]float64{7}, spreadOf{7, 7, 7}},
		{[]float64{4, 2}, spreadOf{3, 2.5, 3.5}},
		{[]float64{5, 1, 2, 4, 3}, spreadOf{3, 2, 4}},
	} {
		if diff := cmp.Diff(tt.want, summary(tt.xs)); diff != "" {
			t.Errorf("summary of %v (-want +got):\n%s", tt.xs, diff)
		}
	}
}

func TestNoise(t *testing.T) {
	for _, tt := range []struct {
		a, b     []float64
		from, to float64
	}{
		{[]float64{100, 200}, []float64{100, 200}, 0, 0},
		{[]float64{100, 200}, []float64{102, 204}, 0.0199, 0.0201},
		{[]float64{100, 100}, []float64{98, 102}, 0.012, 0.014}, // equal by luck
	} {
		if got := noise(tt.a, tt.b); got < tt.from || got > tt.to {
			t.Errorf("%v and %v: %v, want %v to %v", tt.a, tt.b, got, tt.from, tt.to)
		}
	}
}

func TestInterval(t *testing.T) {
	xs := []float64{9, 10, 10, 10, 11}
	low, high := interval(len(xs), func(pick []int) float64 { return medianOf(xs, pick) })
	if low < 9 || low > 10 || high < 10 || high > 11 || low == high {
		t.Errorf("the median of %v lies from %v to %v", xs, low, high)
	}
	if low, high := interval(3, func(pick []int) float64 { return medianOf([]float64{7, 7, 7}, pick) }); low != 7 || high != 7 {
		t.Errorf("the median of sevens lies from %v to %v", low, high)
	}
}

func TestVerdict(t *testing.T) {
	wide := &between{Low: 0, High: 2}
	for _, tt := range []struct {
		row   row
		value float64
		want  string
	}{
		{row{Bound: 1.6}, 1.6, "met"},
		{row{Bound: 1.6}, 2, "missed by 25.0 %"},
		{row{Bound: 250}, 1000, "missed by 300 %"},
		{row{Bound: 5}, -3, "met"},
		{row{Bound: 1, Sure: wide}, 0.9, "met, within the error"},
		{row{Bound: 3, Sure: wide}, 0.9, "met"},
		{row{Bound: 0.99, AtLeast: true}, 0.99, "met"},
		{row{Bound: 0.99, AtLeast: true}, 0.891, "missed by 10.0 %"},
	} {
		if got := tt.row.judged(tt.value); got.Verdict != tt.want || *got.Value != tt.value {
			t.Errorf("%v against %v: %q, want %q", tt.value, tt.row.Bound, got.Verdict, tt.want)
		}
	}
}

// blockOf has two turns of each arm, whose medians are given.
func blockOf(f form, rules int, job string, ns map[string]float64) block {
	var arms []*arm
	var turns [][]float64
	for _, name := range []string{armBare, armBareAgain, armEmpty, armWaymark, armNftVerdicts, armNftLinear, armIptables} {
		a := &arm{name: name}
		var samples []float64
		if x, ok := ns[name]; ok {
			samples = []float64{x - 1, x + 1}
		} else {
			a.missing = "not here"
		}
		arms, turns = append(arms, a), append(turns, samples)
	}
	b := newBlock(arms, turns)
	b.Form, b.Rules, b.Job = f, rules, job
	b.judge()
	return b
}

// TestRows holds a made-up report against the bounds.
func TestRows(t *testing.T) {
	small := map[string]float64{armBare: 700, armBareAgain: 700, armEmpty: 770, armWaymark: 780, armNftVerdicts: 1700, armNftLinear: 1600}
	large := map[string]float64{armBare: 700, armBareAgain: 702, armEmpty: 770, armWaymark: 783, armNftVerdicts: 1700}
	noisy := map[string]float64{armBare: 700, armBareAgain: 720, armEmpty: 770, armWaymark: 780, armNftVerdicts: 1700}
	r := &report{
		Blocks: []block{
			blockOf(byTuple, 1, datagrams, small), blockOf(byTuple, mostRules, datagrams, large), blockOf(byTuple, 1, flows, noisy),
			blockOf(byTuple, mostRules, flows, small), blockOf(byTuple, mostRules, bulk, small),
		},
		Lookups: lookupTimes{Lookups: []lookup{{Classes: 1, Ratio: spreadOf{Median: 1}}, {Classes: 1}, {Classes: 1000, Ratio: spreadOf{Median: 1.1}}}},
		Applies: []applyTimes{{Form: byTuple, Rules: mostRules, Fresh: 2 * time.Second, Change: 500 * time.Millisecond}},
		Memory:  []holding{{Rules: mostRules, Cgroups: mostCgroups, Bytes: 32 << 20}},
	}
	verdicts := map[string]string{}
	for _, x := range rows(r, options{forms: []form{byTuple}, rules: []int{1, mostRules}}) {
		verdicts[strings.TrimSpace(x.What+"; "+x.Policy)] = x.Verdict
	}
	for what, want := range map[string]string{
		"added per datagram, of nft's best form; 5-tuple, 1 rule":              "met", // 80 of 900, which linear adds
		"added per datagram, of an empty tcx program; 5-tuple, 1 rule":         "met",
		"added per datagram, of an empty tcx program; 5-tuple, 100,000 rules":  "met",
		"added per datagram, of nft's best form, unconnected; 5-tuple, 1 rule": "not measured: needs -rules 1 -forms 5-tuple",
		"growth of that, 1 to 100,000 rules; 5-tuple":                          "met",
		"added per new flow, of nft's best form; cgroup, 1 rule":               "not measured: needs -rules 1 -forms cgroup",
		"added per new flow, 100,000 rules over 1; 5-tuple":                    "void: two bare hosts differ by 2.9 %",
		"TCP bulk throughput, of bare; 5-tuple, 100,000 rules":                 "missed by 9.3 %",
		"TCP_RR, of bare; 5-tuple, 100,000 rules":                              "not measured: needs -rules 100000 -forms 5-tuple",
		"route lookup, 1,000 classes over 4 routes, of 1 class;":               "met",
		"compile and apply 100,000 rules from text; 5-tuple":                   "met",
		"change one rule of them; 5-tuple":                                     "missed by 100 %",
		"kernel memory; 100,000 rules, 10,000 cgroups":                         "met",
		"kernel memory per class and uplink;":                                  "not measured",
	} {
		if got := verdicts[what]; got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	var out bytes.Buffer
	r.Rows = rows(r, options{forms: []form{byTuple}, rules: []int{1}})
	r.print(&out)
	if !strings.Contains(out.String(), "VOID after") || !strings.Contains(out.String(), "iptables -m cgroup: not here") {
		t.Errorf("the tables do not say what is void and what is missing:\n%s", out.String())
	}
}

// TestBestOfNft takes only forms that carry the whole policy.
func TestBestOfNft(t *testing.T) {
	b := blockOf(byCgroup, 1, datagrams, map[string]float64{armBare: 700, armBareAgain: 700, armNftVerdicts: 1700, armNftLinear: 1600, armIptables: 900})
	if best := b.bestOfNft(); best == nil || best.Arm != armNftLinear || best.Added.Median != 900 {
		t.Errorf("best of nft is %+v, want %s with 900 ns", best, armNftLinear)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"-rules", "0"}, {"-rules", "100001"}, {"-rules", "x"}, {"-forms", "uid"}, {"-rounds", "0"}, {"more"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	o, err := parseOptions([]string{"-rules", "100, 1,100", "-forms", "cgroup", "-quick"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 100}, o.rules); diff != "" || len(o.forms) != 1 || !o.quick {
		t.Errorf("rules (-want +got):\n%s, and %+v", diff, o)
	}
}
