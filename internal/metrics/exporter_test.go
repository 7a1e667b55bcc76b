// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"waymark/internal/datapath"
	"waymark/loader"
)

func text(t *testing.T, e *Exporter) string {
	t.Helper()
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPromlintFindsNothing(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(text(t, New(source(made(3, 2)))))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// TestEverythingIsThereOnce reads the text with Prometheus's own parser: each
// family is there, with its type and its labels, and no series twice.
func TestEverythingIsThereOnce(t *testing.T) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	parsed, err := parser.TextToMetricFamilies(strings.NewReader(text(t, New(source(made(3, 2))))))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Families() {
		got := parsed[f.Name]
		if got == nil {
			t.Errorf("%s is not there", f.Name)
			continue
		}
		if got.GetType() != f.Type || got.GetHelp() != f.Help {
			t.Errorf("%s is a %s with the help %q", f.Name, got.GetType(), got.GetHelp())
		}
		seen := map[string]bool{}
		for _, m := range got.Metric {
			key := fmt.Sprint(m.Label)
			if seen[key] {
				t.Errorf("%s%v is there twice", f.Name, m.Label)
			}
			seen[key] = true
			if len(m.Label) != len(f.Labels) {
				t.Errorf("%s has labels %v, want %v", f.Name, m.Label, f.Labels)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	got := text(t, New(source(made(2, 2))))
	for _, want := range []string{
		`waymark_class_transmit_packets_total{class="class1",uplink="u1",family="ipv4"} 61`,
		`waymark_class_transmit_bytes_total{class="class1",uplink="u1",family="ipv6"} 4000`,
		`waymark_class_receive_packets_total{class="class0",uplink="u0",family="ipv6"} 30`,
		`waymark_class_misrouted_packets_total{class="class0",uplink="u0",cause="source_pinned"} 4`,
		`waymark_class_misrouted_packets_total{class="class0",uplink="u1",cause="late_mark"} 0`,
		`waymark_class_connect_failures_total{class="class0",uplink="u0",reason="timeout"} 26`,
		`waymark_class_connections_lost_total{class="class0",uplink="u0",reason="reset"} 28`,
		`waymark_class_changed_sockets_total{class="class0",fate="keep"} 6`,
		`waymark_class_guard_refusals_total{class="class0"} 4`,
		`waymark_class_uplink_current{class="class1",uplink="u1"} 1`,
		`waymark_match_hits_total{class="class1",match="cgroup: 1.slice"} 1`,
		`waymark_rule_packets_total{family="ipv6",priority="1020",rule="priority 1020 lookup 7000",class="class0"} 6`,
		`waymark_uplink_up{uplink="u1"} 0`,
		`waymark_uplink_info{uplink="u0",interface="eth0",table="7000"} 1`,
		`waymark_agent_heals_total{kind="rule"} 2`,
		`waymark_agent_heals_total{kind="map"} 0`,
		`waymark_policy_applied_timestamp_seconds 900.5`,
		`waymark_uplink_probe_up{uplink="u0"} 1`,
		`waymark_uplink_probe_loss_ratio{uplink="u0",target="icmp 192.0.2.1"} 0.25`,
		`waymark_uplink_probe_latency_seconds{uplink="u0",target="icmp 192.0.2.1"} 0.02`,
		`waymark_uplink_probes_lost_total{uplink="u0",target="icmp 192.0.2.1"} 10`,
		`waymark_class_tcp_rtt_seconds_sum{class="class0",uplink="u0"} 0.5`,
		`waymark_class_tcp_rtt_seconds_count{class="class0",uplink="u0"} 80`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
	for _, no := range []string{
		`waymark_class_transmit_packets_total{class="class0",uplink="u1"`, // not its way, and nothing seen there
		`lookup main`, // a rule whose packets nobody counts
		`misrouted_packets_total{class="unclassed"`,
	} {
		if strings.Contains(got, no) {
			t.Errorf("there is a line with %s", no)
		}
	}
}

// TestSumsKeepWhatUplinksThatAreGoneCounted has an uplink leave the policy: what
// is counted of a class by all uplinks together stays.
func TestSumsKeepWhatUplinksThatAreGoneCounted(t *testing.T) {
	const sums = "waymark_class_failed_sends_total waymark_class_changed_sockets_total waymark_class_guard_refusals_total waymark_class_send_errors_total"
	before, after := made(1, 2), made(1, 2)
	c := &after.Classes[0]
	c.Gone, c.Traffic[0].Tally = c.Traffic[0].Tally, datapath.Tally{}
	then, now := text(t, New(source(before))), text(t, New(source(after)))
	for line := range strings.Lines(then) {
		name, _, _ := strings.Cut(line, "{")
		if strings.Contains(sums, name) && !strings.Contains(now, line) {
			t.Errorf("there is no %s", line)
		}
	}
}

// TestScrapesFollowThePolicy proves that what is kept between scrapes shows
// nothing of an earlier policy.
func TestScrapesFollowThePolicy(t *testing.T) {
	now := made(3, 2)
	e := New(Source{Version: "v", Read: func() (*loader.Sample, error) { return now, nil }, Agent: func() (*Agent, error) { return nil, nil }})
	for _, next := range []*loader.Sample{made(5, 3), made(1, 1), made(3, 2)} {
		text(t, e)
		now = next
		fresh := New(e.source)
		if got, want := untimed(text(t, e)), untimed(text(t, fresh)); got != want {
			t.Errorf("after another policy:\n%s\nwant:\n%s", got, want)
		}
	}
}

// untimed is the text without how long reading took.
func untimed(text string) string {
	before, after, _ := strings.Cut(text, "\nwaymark_exporter_read_seconds ")
	_, after, _ = strings.Cut(after, "\n")
	return before + after
}

func TestNothingApplied(t *testing.T) {
	e := New(source(nil))
	if got := text(t, e); !strings.Contains(got, "waymark_policy_applied 0\n") || strings.Contains(got, "class") {
		t.Errorf("with nothing applied:\n%s", got)
	}
	if err := e.Ready(); err == nil || err.Error() != "no policy is applied" {
		t.Errorf("ready: %v", err)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	s := source(made(1, 1))
	s.Read = func() (*loader.Sample, error) { return nil, errors.New("no such luck") }
	e := New(s)
	var log bytes.Buffer
	server := httptest.NewServer(e.Handler(slog.New(slog.NewTextHandler(&log, nil)), true))
	defer server.Close()
	for scrape := 1; scrape <= 2; scrape++ {
		got, _ := get(t, server.URL, "")
		if want := fmt.Sprintf("waymark_exporter_read_errors_total %d\n", scrape); !strings.Contains(got, want) {
			t.Errorf("there is no line %s in\n%s", want, got)
		}
		if strings.Contains(got, "\nwaymark_policy_applied ") {
			t.Errorf("whether a policy is applied cannot be read, and it is said:\n%s", got)
		}
	}
	if got := log.String(); strings.Count(got, "no such luck") != 1 {
		t.Errorf("the log: %s", got)
	}
	if err := e.Write(io.Discard); err == nil {
		t.Error("what is written once is not whole, and it said nothing")
	}
}

func TestFormats(t *testing.T) {
	server := httptest.NewServer(New(source(made(2, 2))).Handler(slog.New(slog.DiscardHandler), true))
	defer server.Close()
	plain, kind := get(t, server.URL, "")
	if !strings.HasPrefix(kind, "text/plain") || !strings.Contains(plain, "\nprocess_resident_memory_bytes ") {
		t.Errorf("plain: %s\n%s", kind, plain)
	}
	open, kind := get(t, server.URL, "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(kind, "application/openmetrics-text") || !strings.HasSuffix(open, "# EOF\n") || strings.Contains(open, " # {") {
		t.Errorf("OpenMetrics: %s\n%s", kind, open)
	}
	described := map[string]bool{}
	for line := range strings.Lines(open) {
		name, is := strings.CutPrefix(line, "# TYPE ")
		if name, _, _ = strings.Cut(name, " "); is && described[name] {
			t.Errorf("OpenMetrics: there are two %s", name)
		}
		described[name] = true
	}
	binary, kind := get(t, server.URL, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	decoder := expfmt.NewDecoder(strings.NewReader(binary), expfmt.NewFormat(expfmt.TypeProtoDelim))
	native := 0
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, m := range f.Metric {
			if strings.HasPrefix(f.GetName(), "waymark_") && m.GetHistogram().GetPositiveSpan() != nil {
				native++
			}
		}
	}
	if want := 3*3 + 1; native != want {
		t.Errorf("%d native histograms, want %d", native, want)
	}
}

func get(t *testing.T, url, accept string) (body, kind string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, answer.Status, err)
	}
	return string(all), answer.Header.Get("Content-Type")
}

// TestScrapesAllocateNothing is for the part that is ours: 1,000 classes on
// four uplinks show 60,000 series, of which the next scrape writes the numbers.
func TestScrapesAllocateNothing(t *testing.T) {
	e := New(source(made(1000, 4)))
	scrape := func() {
		_, done, _ := e.Gather()
		done()
	}
	scrape()
	if n := testing.AllocsPerRun(5, scrape); n > 12000 {
		t.Errorf("a scrape of 1,000 classes allocates %v times", n)
	}
}

func BenchmarkScrape(b *testing.B) {
	e := New(source(made(1000, 4)))
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGather(b *testing.B) {
	e := New(source(made(1000, 4)))
	b.ReportAllocs()
	for b.Loop() {
		_, done, _ := e.Gather()
		done()
	}
}
