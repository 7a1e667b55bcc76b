// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/plan"
	"waymark/loader"
)

// counting is a source that counts how often it is read and closed.
type counting struct{ reads, closes atomic.Int64 }

func (c *counting) Read() (*loader.Sample, error) {
	n := uint64(c.reads.Add(1))
	return sampleOf(time.Unix(int64(n), 0), n), nil
}

func (c *counting) Close() { c.closes.Add(1) }

// sampleOf is what is counted after n seconds of 10 packets of 100 bytes each.
func sampleOf(at time.Time, n uint64) *loader.Sample {
	traffic := datapath.Tally{Counters: datapath.Counters{Packets: 10 * n, Bytes: 1000 * n}, RTT: datapath.Histogram{Buckets: []uint64{0, n, n}, Count: 2 * n, Schema: 3, First: -60}}
	return &loader.Sample{Time: at, State: 1, Drops: []loader.DropSample{}, Off: []string{},
		Uplinks: []loader.UplinkSample{{Name: "a", Interface: "eth0", Table: 7000, Up: true}},
		Classes: []loader.ClassSample{
			{Name: "bulk", Route: "[a]", Way: []string{"a"}, Uplink: "a", Traffic: []loader.UplinkTally{{Uplink: "a", Tally: traffic}}},
			{Name: "idle", Route: "[a]", Way: []string{"a"}, Uplink: "a", Traffic: []loader.UplinkTally{{Uplink: "a"}}}},
		Lines: []loader.LineSample{{Class: "bulk", Text: "{uid: 1}", Where: "p:1", Hits: n}},
		Rules: []loader.RuleSample{{Rule: plan.Rule{Family: plan.IPv4, Priority: 1000}, Text: "priority 1000", Packets: 10 * n}}}
}

func newPage(t *testing.T, change func(*PageOptions)) (*Page, *httptest.Server) {
	t.Helper()
	o := PageOptions{Host: "gw", Source: &counting{}, Named: Named{[]string{"gw"}, func(*http.Request) bool { return false }},
		Past:  func() (Past, error) { return Past{}, nil },
		Agent: func() (*Agent, error) { return nil, nil },
		Explain: func(_ context.Context, q Question) (json.RawMessage, error) {
			if q.Dst == "" {
				return nil, errors.New("no destination")
			}
			return encode(map[string]Question{"item": q}), nil
		}}
	if change != nil {
		change(&o)
	}
	p := NewPage(o)
	p.stream.every = 100 * time.Millisecond
	s := httptest.NewServer(sealed(p))
	t.Cleanup(func() { p.Close(); s.Close() })
	return p, s
}

// ask sends a request with headers, in pairs, Host among them.
func ask(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestPageHeaders(t *testing.T) {
	_, s := newPage(t, nil)
	for path, kind := range map[string]string{"/": "text/html", "/page.js": "text/javascript", "/page.css": "text/css", "/icon.svg": "image/svg+xml", "/nothing": "text/plain"} {
		answer, text := ask(t, "GET", s.URL+path, "")
		if !strings.HasPrefix(answer.Header.Get("Content-Type"), kind) {
			t.Errorf("%s is %s", path, answer.Header.Get("Content-Type"))
		}
		for name, value := range headers {
			if answer.Header.Get(name) != value && path != "/nothing" {
				t.Errorf("%s has %s %q", path, name, answer.Header.Get(name))
			}
		}
		if kind == "text/html" && (strings.Contains(text, "style=") || strings.Contains(text, "onclick") || strings.Contains(text, "<script>") || strings.Contains(text, "//cdn")) {
			t.Error("the page has something that its policy forbids")
		}
	}
}

// TestWhoMayAsk tries what a stranger's page could have a browser send.
func TestWhoMayAsk(t *testing.T) {
	_, s := newPage(t, func(o *PageOptions) { o.Names = []string{"gw", "page.example"} })
	own := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct {
		path    string
		headers []string
		code    int
	}{
		{"/", nil, 200},
		{"/", []string{"Host", "localhost:9955"}, 200},
		{"/", []string{"Host", "[::1]:9955"}, 200},
		{"/", []string{"Host", "[::1]"}, 200},
		{"/", []string{"Host", "GW:9955"}, 200},
		{"/", []string{"Host", "page.example."}, 200},
		{"/", []string{"Host", "rebound.example:9955"}, 421},
		{"/", []string{"Host", "gw.rebound.example"}, 421},
		{"/", []string{"Host", "127.0.0.1.rebound.example"}, 421},
		{"/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"/explain?dst=::1", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"/explain?dst=::1", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"/explain?dst=::1", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"/explain?dst=::1", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://" + own}, 200},
		{"/explain?dst=::1", []string{"Origin", "http://other.example"}, 403},
		{"/explain?dst=::1", []string{"Origin", "null"}, 403},
		// A proxy asks by another name than the page was opened by.
		{"/explain?dst=::1", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://gw.example"}, 200},
		{"/explain?dst=::1", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://" + own}, 403},
		{"/page.js", []string{"Origin", "http://gw.example"}, 200}, // browsers name it for a module's sake
	} {
		if answer, text := ask(t, "GET", s.URL+c.path, "", c.headers...); answer.StatusCode != c.code {
			t.Errorf("%s %v: %d %s; want %d", c.path, c.headers, answer.StatusCode, text, c.code)
		}
	}
	_, s = newPage(t, func(o *PageOptions) { o.LetIn = func(*http.Request) bool { return true } })
	if answer, _ := ask(t, "GET", s.URL, "", "Host", "any.example"); answer.StatusCode != 200 {
		t.Errorf("behind a password by any name: %d", answer.StatusCode)
	}
}

func TestExplainAnswers(t *testing.T) {
	_, s := newPage(t, nil)
	if _, text := ask(t, "GET", s.URL+"/explain?dst=+10.0.0.1+&pid=7&dport=80", ""); text != `{"item":{"PID":"7","Unit":"","Container":"","Cgroup":"","UID":"","Proto":"","Src":"","Sport":"","Dst":"10.0.0.1","Dport":"80"}}` {
		t.Errorf("the answer is %s", text)
	}
	if _, text := ask(t, "GET", s.URL+"/explain", ""); text != `{"error":"no destination"}` {
		t.Errorf("without a destination the answer is %s", text)
	}
	if _, text := ask(t, "GET", s.URL+"/explain?dst="+strings.Repeat("1", 5000), ""); !strings.Contains(text, "too long") {
		t.Errorf("of a long question the answer is %s", text)
	}
}

// TestMoveIsGuarded tries moves that are not the page's own.
func TestMoveIsGuarded(t *testing.T) {
	_, s := newPage(t, nil)
	if answer, _ := ask(t, "POST", s.URL+"/move", "{}"); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a page that only shows answers %d", answer.StatusCode)
	}
	users, moved := true, []Move{}
	p, s := newPage(t, func(o *PageOptions) {
		o.LetIn = func(*http.Request) bool { return users }
		o.Move = func(_ context.Context, m Move) (json.RawMessage, error) {
			moved = append(moved, m)
			return json.RawMessage("{}"), nil
		}
	})
	const move = `{"subject":"x.service","to":"bulk","fate":"keep","undo":false,"dryRun":true}`
	whole := []string{"Content-Type", "application/json", "X-Waymark-Token", p.token, "Authorization", "Basic YWxpY2U6eA=="}
	for what, headers := range map[string][]string{
		"no token":    {"Content-Type", "application/json"},
		"wrong token": {"Content-Type", "application/json", "X-Waymark-Token", "x"},
		"a form":      {"Content-Type", "text/plain", "X-Waymark-Token", p.token},
		"a stranger":  append([]string{"Origin", "http://other.example"}, whole...),
	} {
		if answer, _ := ask(t, "POST", s.URL+"/move", move, headers...); answer.StatusCode != http.StatusForbidden || len(moved) > 0 {
			t.Errorf("%s: %d", what, answer.StatusCode)
		}
	}
	for _, body := range []string{"", "[]", `{"save":true}`, `{"subject":"` + strings.Repeat("x", 5000)} {
		if _, text := ask(t, "POST", s.URL+"/move", body, whole...); !strings.Contains(text, "cannot be read") || len(moved) > 0 {
			t.Errorf("%.20q: %s", body, text)
		}
	}
	ask(t, "POST", s.URL+"/move", move, whole...)
	if want := (Move{Author: "alice", Subject: "x.service", To: "bulk", Fate: "keep", DryRun: true}); !slices.Equal(moved, []Move{want}) {
		t.Errorf("moved %+v", moved)
	}
	tried := len(p.stream.newer)
	ask(t, "POST", s.URL+"/move", strings.Replace(move, "true", "false", 1), whole...)
	if done := len(p.stream.newer); tried != 0 || done != 1 {
		t.Errorf("%d readings are hurried by a trial, %d by a move, want none and one", tried, done)
	}
	users = false
	if answer, text := ask(t, "POST", s.URL+"/move", move, whole...); answer.StatusCode != http.StatusForbidden || len(moved) != 2 {
		t.Errorf("without users any more: %d %s", answer.StatusCode, text)
	}
}

// TestTurns has fail-overs by powers of two, with gaps, and none of an uplink
// that never failed.
func TestTurns(t *testing.T) {
	took := datapath.Histogram{Schema: 3, First: -15, Count: 6, Buckets: make([]uint64, 32)}
	took.Buckets[0], took.Buckets[7], took.Buckets[8], took.Buckets[24] = 1, 1, 3, 1 // up to 2^(-15/8), 2^-1, 2^(-7/8), 2^(9/8)
	got := turnsOf([]loader.TurnSample{{Uplink: "a", Cause: "carrier"}, {Uplink: "b", Cause: "gateway", Took: took}})
	if len(got) != 1 || got[0].Uplink != "b" || got[0].Cause != "gateway" || got[0].Took.Count != 6 {
		t.Fatalf("they are %+v", got)
	}
	if want := []bin{{.5, 2}, {1, 3}, {2, 0}, {4, 1}}; !slices.Equal(got[0].Bins, want) {
		t.Errorf("the bins are %v, want %v", got[0].Bins, want)
	}
	if p := got[0].Took; p.P50 <= .5 || p.P50 > 1 || p.P99 <= 2 || p.P99 > 4 {
		t.Errorf("the percentiles are %+v", p)
	}
}
