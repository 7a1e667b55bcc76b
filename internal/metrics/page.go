// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// pageHead is what stands above the list of metrics.
const pageHead = `# Metrics

What ` + "`waymark metrics`" + ` and ` + "`waymark run --listen`" + ` serve on ` + "`/metrics`" + `. Generated from
the code by ` + "`go generate ./internal/metrics`" + `; do not edit.

- Counters count from the first ` + "`waymark apply`" + `. They go on through applies, changes
  of classes, restarts and upgrades of the agent, and end with ` + "`waymark down`" + `. Only
  ` + "`waymark_exporter_read_errors_total`" + ` begins with who serves it.
- Labels take their values from the policy (classes, uplinks, matches, rules) or from
  short lists (families, causes, reasons); never a process, an address or a unit of the
  traffic.
- Series of a class and an uplink are there when the uplink is in the class's route, or
  when anything was counted for the two. Misroutes are there for every uplink.
- Histograms come twice from the same counts: as classic ones, with a bucket for each
  power of two, and as native ones, eight times as fine.
- The class ` + "`unclassed`" + ` is what is in no class.
- Beside these, ` + "`/metrics`" + ` has client_golang's own ` + "`process_*` and `go_*`" + ` of the server;
  ` + "`--once`" + ` leaves them out.
- A scrape of 1,000 classes on four uplinks, each with three histograms, 148,000 lines, takes
  about 17 ms of one CPU, more than half of it for reading; in protobuf, which native
  histograms need, about 25 ms.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
`

// Page documents every metric, in Markdown.
func Page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, f := range Families() {
		labels := ""
		if len(f.Labels) > 0 {
			labels = "`" + strings.Join(f.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, typeName(f.Type), labels, f.Help)
	}
	return b.String()
}

func typeName(t dto.MetricType) string { return strings.ToLower(t.String()) }
