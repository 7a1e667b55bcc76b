// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	grafana "github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"waymark/internal/metrics"
)

// A dashboard is what is looked at of one of dist/grafana.
type dashboard struct {
	UID         string
	Title       string
	Description string
	Tags        []string
	Templating  struct {
		List []variable
	}
	Annotations struct {
		List []struct {
			Expr       string
			Datasource reference
		}
	}
	Panels []panel
}

type variable struct {
	Name, Type        string
	Datasource        reference
	Definition        string
	Multi, IncludeAll bool
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               reference
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct{ Unit, NoValue string }
	}
	Targets []target
}

type target struct {
	Expr, RefID string
	Datasource  reference
}

type reference struct{ Type, UID string }

// byVariable is the data source that the dashboard's variable names.
var byVariable = reference{"prometheus", "${datasource}"}

// dashboards are all of them, by file name.
func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	all := map[string]dashboard{}
	for _, file := range must[[]string](t)(filepath.Glob("../dist/grafana/*.json")) {
		var d dashboard
		if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(file)), &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = d
	}
	if len(all) == 0 {
		t.Fatal("there are no dashboards")
	}
	return all
}

// expressions are those of a dashboard, with variables in them.
func (d *dashboard) expressions() (all []string) {
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, a.Expr)
	}
	return all
}

// TestDashboardsKeepGrafanasSchema reads them as strictly as Grafana's own
// library can: no field that it does not know, and none missing that it wants.
func TestDashboardsKeepGrafanasSchema(t *testing.T) {
	for _, file := range must[[]string](t)(filepath.Glob("../dist/grafana/*.json")) {
		var d grafana.Dashboard
		err := d.UnmarshalJSONStrict(must[[]byte](t)(os.ReadFile(file)))
		if err != nil && err.Error() != "" { // an empty list of errors is not nil
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestDashboardsImportAnywhere(t *testing.T) {
	for file, d := range dashboards(t) {
		if d.UID != "waymark-"+file || !slices.Contains(d.Tags, "waymark") || d.Description == "" {
			t.Errorf("%s: uid %q, tags %v, description %q", file, d.UID, d.Tags, d.Description)
		}
		if v := d.Templating.List; len(v) < 2 || v[0].Name != "datasource" || v[0].Type != "datasource" {
			t.Errorf("%s: its first variable is not the data source", file)
			continue
		}
		last := len(d.Templating.List) - 1
		if v := d.Templating.List[last]; v.Type != "adhoc" || v.Datasource != byVariable {
			t.Errorf("%s: nothing chooses by what else tells series apart, as a label of textfiles", file)
		}
		for _, v := range d.Templating.List[1:last] {
			if v.Type != "query" || v.Datasource != byVariable || v.Definition == "" {
				t.Errorf("%s: variable %s: %+v", file, v.Name, v)
			}
		}
		d.checkVariables(t, file)
		for _, a := range d.Annotations.List {
			if a.Datasource != byVariable {
				t.Errorf("%s: an annotation asks %v", file, a.Datasource)
			}
		}
		d.checkPanels(t, file)
	}
}

// checkVariables sees that what is one value is compared as one: Grafana
// escapes only those of several for a regular expression.
func (d *dashboard) checkVariables(t *testing.T, file string) {
	for _, v := range d.Templating.List {
		for _, e := range d.expressions() {
			if !v.Multi && !v.IncludeAll && strings.Contains(e, `=~"$`+v.Name+`"`) {
				t.Errorf("%s: %s is a name, and no regular expression, in %s", file, v.Name, e)
			}
		}
	}
}

func (d *dashboard) checkPanels(t *testing.T, file string) {
	ids, titles := map[int]bool{}, map[string]bool{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("%s: panel %d %q is there twice, or has no id or title", file, p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		if p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s: panel %q is at %+v", file, p.Title, p.GridPos)
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Description) < 20 || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource != byVariable {
			t.Errorf("%s: panel %q lacks a description, a unit, a target or the chosen data source", file, p.Title)
		}
		if p.addsUp() && !strings.Contains(p.Description, "chosen hosts") {
			t.Errorf("%s: panel %q does not say that it shows hosts together", file, p.Title)
		}
		if p.mayBeEmpty() && p.FieldConfig.Defaults.NoValue == "" {
			t.Errorf("%s: panel %q does not say why it is empty where nothing is measured", file, p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource != byVariable {
				t.Errorf("%s: panel %q asks %v", file, p.Title, target.Datasource)
			}
		}
	}
}

// addsUp tells whether a panel shows several hosts as one.
func (p *panel) addsUp() bool {
	return slices.ContainsFunc(p.Targets, func(t target) bool {
		return aggregates.MatchString(t.Expr) && !strings.Contains(t.Expr, "by (instance")
	})
}

var leavesOut = regexp.MustCompile(` (==|>) 0\)*$`)

// mayBeEmpty tells whether all that a panel draws is measured only on some hosts:
// where the policy has a probe, something failed, or the telemetry is on. An
// expression that ends in a comparison leaves out all for which it does not hold.
func (p *panel) mayBeEmpty() bool {
	if p.Type != "stat" && slices.ContainsFunc(p.Targets, func(t target) bool { return leavesOut.MatchString(t.Expr) }) {
		return true
	}
	for _, target := range p.Targets {
		if slices.ContainsFunc(names(target.Expr), func(name string) bool { return !someHosts.MatchString(name) }) {
			return false
		}
	}
	return p.Type != "stat" // which has a number even so
}

// TestDashboardsKeepToWhatIsChosen has all that is of an uplink be of those that
// are chosen, and what every exporter has be of Waymark's.
func TestDashboardsKeepToWhatIsChosen(t *testing.T) {
	ofUplink := map[string]bool{}
	for _, f := range metrics.Families() {
		ofUplink[f.Name] = slices.Contains(f.Labels, "uplink")
	}
	for file, d := range dashboards(t) {
		chosen := slices.ContainsFunc(d.Templating.List, func(v variable) bool { return v.Name == "uplink" })
		for _, e := range d.expressions() {
			for _, s := range selected.FindAllStringSubmatch(e, -1) {
				if chosen && ofUplink[strings.TrimSuffix(s[1], "_bucket")] && !strings.Contains(s[2], `uplink=~"$uplink"`) {
					t.Errorf("%s asks for %s of all uplinks in %s", file, s[1], e)
				}
			}
			if strings.Contains(e, "process_") && !strings.Contains(e, "and on (job, instance) waymark_build_info") {
				t.Errorf("%s asks every exporter of the host for %s", file, e)
			}
		}
	}
}

var (
	metricName = regexp.MustCompile(`\bwaymark_\w+`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
	selected   = regexp.MustCompile(`\b(waymark_\w+)\{([^}]*)\}`)
	someHosts  = regexp.MustCompile(`_(tcp_rtt|tcp_connect|queue|convergence)_seconds|_dropped_|_probe`)
	aggregates = regexp.MustCompile(`\b(sum|min|max|topk) ?(by )?\(`)
	selectors  = regexp.MustCompile(`\{([^}]*)\}`)
)

// names are the metrics and recorded series in an expression.
func names(expression string) []string {
	return metricName.FindAllString(expression, -1)
}

// TestDashboardsAskForWhatThereIs holds the names against those of the
// metrics, and sees that no host, class or uplink is written down.
func TestDashboardsAskForWhatThereIs(t *testing.T) {
	known, shown := map[string]bool{}, map[string]bool{}
	for _, f := range metrics.Families() {
		known[f.Name], known[f.Name+"_bucket"] = true, f.Type.String() == "HISTOGRAM"
	}
	for file, d := range dashboards(t) {
		for _, e := range d.expressions() {
			for _, name := range names(e) {
				shown[strings.TrimSuffix(name, "_bucket")] = true
				if !known[name] {
					t.Errorf("%s asks for %s, which is no metric", file, name)
				}
			}
			for _, selector := range selectors.FindAllStringSubmatch(e, -1) {
				for _, value := range quoted.FindAllString(selector[1], -1) {
					if !strings.HasPrefix(value, `"$`) && value != `"unclassed"` {
						t.Errorf("%s has %s written down in %s", file, value, e)
					}
				}
			}
		}
	}
	for _, f := range metrics.Families() {
		// A table of marks, and when the agent began, say nothing over time.
		if !shown[f.Name] && f.Name != "waymark_class_info" && f.Name != "waymark_agent_start_time_seconds" {
			t.Errorf("no dashboard shows %s", f.Name)
		}
	}
}
