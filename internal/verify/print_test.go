// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPrintJUnit is what the schema of Ant's JUnit task takes: a suite without one
// of these attributes and elements, or with them in another order, is invalid.
func TestPrintJUnit(t *testing.T) {
	const want = `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="waymark verify" tests="3" failures="1" skipped="1" errors="0" time="1.500" timestamp="2026-01-02T03:04:05" hostname="gateway">
  <properties></properties>
  <testcase classname="waymark.structure" name="rules" time="0"></testcase>
  <testcase classname="waymark.failure" name="lte down: class a" time="0">
    <failure message="it leaves by &lt;fiber&gt;" type="wrong">it leaves by &lt;fiber&gt;&#xA;and more</failure>
  </testcase>
  <testcase classname="waymark.live" name="class a" time="0">
    <skipped message="no target"></skipped>
  </testcase>
  <system-out>failure: lte down: class a: via fiber&#xA;</system-out>
  <system-err></system-err>
</testsuite>
`
	var b strings.Builder
	err := PrintJUnit(&b, []Check{
		{Group: "structure", Name: "rules"},
		{Group: "failure", Name: "lte down: class a", Answer: "via fiber", Wrong: []string{"it leaves by <fiber>", "and more"}},
		{Group: "live", Name: "class a", Skipped: "no target"},
	}, Run{"gateway", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), 1500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("another suite (-want +got):\n%s", diff)
	}
}
