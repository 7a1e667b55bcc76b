// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
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
	o := PageOptions{Host: "gw", Source: &counting{}, Authenticated: func() bool { return false },
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
	s := httptest.NewServer(p)
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
	_, s := newPage(t, func(o *PageOptions) { o.Names = []string{"page.example"} })
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
	} {
		if answer, text := ask(t, "GET", s.URL+c.path, "", c.headers...); answer.StatusCode != c.code {
			t.Errorf("%s %v: %d %s; want %d", c.path, c.headers, answer.StatusCode, text, c.code)
		}
	}
	_, s = newPage(t, func(o *PageOptions) { o.Authenticated = func() bool { return true } })
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
		o.Authenticated = func() bool { return users }
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
	users = false
	if answer, text := ask(t, "POST", s.URL+"/move", move, whole...); answer.StatusCode != http.StatusForbidden || len(moved) != 1 {
		t.Errorf("without users any more: %d %s", answer.StatusCode, text)
	}
}

// looking is one who looks at the stream.
type looking struct {
	*bufio.Reader
	end context.CancelFunc
}

func look(t *testing.T, url string) (*looking, int) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return &looking{bufio.NewReader(answer.Body), end}, answer.StatusCode
}

// next is the data of the next event.
func (l *looking) next(t *testing.T, name string) string {
	t.Helper()
	event, err := l.ReadString('\n')
	data, dataErr := l.ReadString('\n')
	if _, blank := l.ReadString('\n'); err != nil || dataErr != nil || blank != nil || event != "event: "+name+"\n" {
		t.Fatalf("the next event is %q %q (%v)", event, data, errors.Join(err, dataErr, blank))
	}
	return strings.TrimSuffix(strings.TrimPrefix(data, "data: "), "\n")
}

func (l *looking) frame(t *testing.T) (f frame) {
	t.Helper()
	if err := json.Unmarshal([]byte(l.next(t, "frame")), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStream(t *testing.T) {
	_, s := newPage(t, nil)
	l, _ := look(t, s.URL)
	if hello := l.next(t, "hello"); hello != `{"changes":false,"host":"gw"}` {
		t.Errorf("hello is %s", hello)
	}
	if f := l.frame(t); !f.Whole || len(f.Classes) != 2 || len(f.Lines) != 1 || len(f.Rules) != 1 || f.State != 1 {
		t.Errorf("the first frame is %+v", f)
	}
	f := l.frame(t)
	if _, idle := f.Classes[1]; f.Whole || len(f.Classes) != 1 || idle {
		t.Errorf("the second frame has more than what is new: %+v", f)
	}
	var c classFrame
	if err := json.Unmarshal(f.Classes[0], &c); err != nil {
		t.Fatal(err)
	}
	if got := c.Lanes[0]; got.SentRate != (rate{10, 8000}) || got.Sent.Packets == 0 || got.Sent.Bytes != 100*got.Sent.Packets || got.RTT == nil || got.RTT.Count != 2 {
		t.Errorf("the lane is %+v", got)
	}
	_, text := ask(t, "GET", s.URL+"/class?name=bulk", "")
	var details struct{ Lanes []detail }
	if err := json.Unmarshal([]byte(text), &details); err != nil || len(details.Lanes) != 1 || details.Lanes[0].Packets == 0 || details.Lanes[0].RTT.P50 <= 0 {
		t.Errorf("the details are %s (%v)", text, err)
	}
	late, _ := look(t, s.URL)
	late.next(t, "hello")
	if f := late.frame(t); !f.Whole || len(f.Classes) != 2 {
		t.Errorf("one who comes later has first %+v", f)
	}
}

// TestNobodyLooks: nothing is read then, and the source is closed.
func TestNobodyLooks(t *testing.T) {
	source := &counting{}
	_, s := newPage(t, func(o *PageOptions) { o.Source = source })
	if n := source.reads.Load(); n != 0 {
		t.Errorf("%d reads before anybody looks", n)
	}
	for round := int64(1); round <= 3; round++ {
		l, _ := look(t, s.URL)
		l.next(t, "hello")
		if f := l.frame(t); !f.Whole {
			t.Error("after a sleep the first frame is not whole")
		}
		l.end()
		eventually(t, func() bool { return source.closes.Load() == round })
	}
	n := source.reads.Load()
	time.Sleep(300 * time.Millisecond)
	if now := source.reads.Load(); now != n {
		t.Errorf("%d reads while nobody looks", now-n)
	}
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute")
		}
	}
}

func TestTooManyLook(t *testing.T) {
	p, s := newPage(t, nil)
	for range watchers {
		if _, code := look(t, s.URL); code != 200 {
			t.Fatalf("answered %d", code)
		}
	}
	l, code := look(t, s.URL)
	if text, _ := io.ReadAll(l); code != http.StatusServiceUnavailable || !strings.Contains(string(text), "too many look at this page already: 16") {
		t.Errorf("one more is answered %d %s", code, text)
	}
	p.Close()
	if _, code := look(t, s.URL); code != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", code)
	}
}

// TestSlowOneIsLeftOut: one who takes nothing does not hold up the others.
func TestSlowOneIsLeftOut(t *testing.T) {
	p, _ := newPage(t, nil)
	p.stream.every = time.Hour
	slow, err := p.stream.join()
	if err != nil {
		t.Fatal(err)
	}
	quick, err := p.stream.join()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * behind {
		p.stream.send(event{[]byte("{}"), func() []byte { return []byte("{}") }})
		if _, more := <-quick.events; !more {
			t.Fatal("the quick one is left out")
		}
	}
	n := 0
	for range slow.events {
		n++
	}
	if n != behind {
		t.Errorf("the slow one had %d events before it was left out", n)
	}
	p.stream.leave(slow)
	p.stream.leave(quick)
}

// failing is a source without numbers.
type failing struct{ error }

func (f failing) Read() (*loader.Sample, error) { return nil, f.error }
func (failing) Close()                          {}

func TestNoNumbers(t *testing.T) {
	for err, want := range map[error]string{fs.ErrNotExist: "Nothing is applied on this host: run `waymark apply`.", errors.New("broken"): "broken"} {
		_, s := newPage(t, func(o *PageOptions) { o.Source = failing{err} })
		l, _ := look(t, s.URL)
		l.next(t, "hello")
		if f := l.frame(t); f.Problem != want || f.State != 0 {
			t.Errorf("of %v the frame is %+v", err, f)
		}
	}
}
