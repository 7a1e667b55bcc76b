// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

type promtoolSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type promtoolSample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

// TestPanelsShowWhatTheySay has promtool work out what a panel asks, after ten
// minutes of some series.
func TestPanelsShowWhatTheySay(t *testing.T) {
	const down, wayOut = `waymark_uplink_up{uplink="a"}`, `waymark_class_way_out{class="exec"}`
	for _, c := range []struct {
		file, panel string
		series      []promtoolSeries
		want        []promtoolSample
	}{
		{"uplinks", "Changes of uplink", []promtoolSeries{
			{`waymark_class_uplink_current{class="exec",uplink="a"}`, "1x6 0x6"},
			{`waymark_class_uplink_current{class="exec",uplink="b"}`, "0x6 1x6"},
		}, []promtoolSample{{`{class="exec"}`, 1}}},
		{"overview", "Uplinks down", []promtoolSeries{{down, "0x20"}}, []promtoolSample{{"{}", 1}}},
		{"overview", "Uplinks down", []promtoolSeries{{down, "1x20"}}, []promtoolSample{{"{}", 0}}},
		// A host that nobody hears from is not well.
		{"overview", "Uplinks down", nil, nil},
		{"overview", "Classes without a way out", nil, nil},
		{"overview", "Problems", nil, nil},
		{"class", "Way out", nil, nil},
		{"class", "Misroutes, 5 min", nil, nil},
		{"class", "Way out", []promtoolSeries{{wayOut, "0x20"}, {`waymark_class_open_flows{class="exec"}`, "3x20"}}, []promtoolSample{{"{}", 0}}},
		{"class", "Way out", []promtoolSeries{{`waymark_class_open_flows{class="unclassed"}`, "0x20"}}, []promtoolSample{{"{}", 1}}},
	} {
		t.Run(c.file+"/"+c.panel, func(t *testing.T) {
			promtoolTests(t, map[string]any{"interval": "1m", "input_series": c.series, "promql_expr_test": []any{
				map[string]any{"expr": ofAll.Replace(panelOf(t, c.file, c.panel)), "eval_time": "10m", "exp_samples": c.want},
			}})
		})
	}
}

// panelOf is what a panel asks first.
func panelOf(t *testing.T, file, title string) string {
	t.Helper()
	d := dashboards(t)[file]
	for _, p := range d.Panels {
		if p.Title == title {
			return p.Targets[0].Expr
		}
	}
	t.Fatalf("%s has no panel %q", file, title)
	return ""
}

// promtoolTests has promtool run one group of its unit tests.
func promtoolTests(t *testing.T, group any) {
	t.Helper()
	text := must[[]byte](t)(json.Marshal(map[string]any{"evaluation_interval": "1m", "tests": []any{group}})) // JSON is YAML
	file := filepath.Join(t.TempDir(), "panel.test.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)
}
