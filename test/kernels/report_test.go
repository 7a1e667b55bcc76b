// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// TestSkipsNeedAReason reads what `go test` says of a kernel that lacks one
// mechanism: a test may be skipped for that, and for nothing else.
func TestSkipsNeedAReason(t *testing.T) {
	const lacking = "bpf_fib_lookup by mark, and bpf_redirect_neigh there"
	said := func(test, action, output string) string {
		return `{"Action":"output","Package":"p","Test":"` + test + `","Output":"    x_test.go:1: ` + output + `\n"}` +
			`{"Action":"` + action + `","Package":"p","Test":"` + test + `"}`
	}
	probed := said(mechanismTest+"/"+strings.ReplaceAll(lacking, " ", "_"), "skip", "invalid argument") +
		said(mechanismTest+"/bpf_loop", "pass", "") +
		said(mechanismTest+"/waymark_apply", "skip", `waymark: apply: this kernel lacks much\n`)
	for name, c := range map[string]struct {
		said, row string
		failed    bool
	}{
		"passed":                            {said("TestRepair", "pass", ""), "yes", false},
		"skipped for what is lacking":       {said("TestRepair/a", "skip", lacks+lacking) + said("TestRepair", "pass", ""), "without 13", false},
		"skipped for what works":            {said("TestRepair", "skip", lacks+"bpf_loop"), "yes", true},
		"skipped for what nobody has tried": {said("TestRepair", "skip", lacks+"a coffee machine"), "yes", true},
		"skipped without a reason":          {said("TestRepair", "skip", "not root"), "yes", true},
		"failed":                            {said("TestRepair", "fail", "no"), "yes", true},
		"not run":                           {"", "-", false},
	} {
		r := newReport(kernel{series: "6.1"})
		if err := r.read(strings.NewReader(probed + c.said)); err != nil {
			t.Fatal(err)
		}
		if row := r.row("TestRepair"); row != c.row || r.failed != c.failed {
			t.Errorf("%s: the page says %q, and the run has failed: %v; want %q, %v", name, row, r.failed, c.row, c.failed)
		}
		if r.works[lacking] || !r.works["bpf_loop"] || r.refusal != "apply: this kernel lacks much" {
			t.Errorf("%s: works %v, refusal %q", name, r.works, r.refusal)
		}
	}
}

// TestPattern has rows with and without parts.
func TestPattern(t *testing.T) {
	for _, want := range []string{"^TestPackets$|", "|^TestMarkOfOthers$//^IPv6|", "|^TestRepair$//^IPv"} {
		if p := pattern(rows); !strings.Contains(p, want) {
			t.Errorf("%q is not in %s", want, p)
		}
	}
}

// TestSeen keeps what a run saw for the next one with the same programs: what
// failed, and what did not end, has not been seen.
func TestSeen(t *testing.T) {
	k := kernel{series: "6.1", folder: t.TempDir()}
	r := newReport(k)
	event := func(test, action string) string {
		return `{"Action":"` + action + `","Package":"p","Test":"` + test + `"}`
	}
	said := event("TestPackets/a", "pass") + event("TestPackets", "pass") + event("TestRepair/a", "fail") + event("TestRepair", "fail") +
		event("TestRing/a", "pass") + event("TestOracle/a", "skip") + event("TestOracle", "pass")
	if err := r.read(strings.NewReader(said)); err != nil {
		t.Fatal(err)
	}
	r.passed["TestPackets"]["bpf_loop"] = true
	if err := r.keep(); err != nil {
		t.Fatal(err)
	}
	again, ok, err := recall(k)
	if err != nil || !ok {
		t.Fatalf("recalled: %v: %v", ok, err)
	}
	for row, want := range map[string]string{"TestPackets": "without 7", "TestRepair": "-", "TestRing": "-", "TestOracle": "-"} {
		if got := again.row(row); got != want {
			t.Errorf("of %s is remembered %q, want %q", row, got, want)
		}
	}
}
