// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the page of metrics")

// TestPage proves that METRICS.md is what the code says.
func TestPage(t *testing.T) {
	const file = "METRICS.md"
	if *update {
		if err := os.WriteFile(file, []byte(Page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != Page() {
		t.Errorf("%s is not up to date (%v): run `go generate ./internal/metrics` and commit the result", file, err)
	}
}
