// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"

	"waymark/loader"
)

// TestTextIsThatOfPrometheus holds both text formats against those of
// Prometheus's own encoder, line by line: only numbers may be written
// otherwise, and have to be the same.
func TestTextIsThatOfPrometheus(t *testing.T) {
	odd := oddlyNamed()
	for name, format := range map[string]expfmt.Format{"text": expfmt.FmtText, "OpenMetrics": expfmt.FmtOpenMetrics_1_0_0} {
		for _, s := range []*loader.Sample{made(3, 4), odd, nil} {
			e := New(source(s))
			ours, err := e.append(nil, forms[format.FormatType()])
			if err != nil {
				t.Fatal(err)
			}
			var theirs bytes.Buffer
			shown, done, _ := e.Gather()
			encoder := expfmt.NewEncoder(&theirs, format)
			for _, f := range shown {
				if err := encoder.Encode(f); err != nil {
					t.Fatal(err)
				}
			}
			done()
			sameLines(t, name, untimed(string(ours)), untimed(theirs.String()))
		}
	}
}

func sameLines(t *testing.T, name, ours, theirs string) {
	t.Helper()
	a, b := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	if len(a) != len(b) {
		t.Fatalf("%s: %d lines, want %d", name, len(a), len(b))
	}
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		have, number, _ := cutLast(a[i])
		want, wanted, is := cutLast(b[i])
		x, err1 := strconv.ParseFloat(number, 64)
		y, err2 := strconv.ParseFloat(wanted, 64)
		if have != want || !is || x != y || err1 != nil || err2 != nil {
			t.Errorf("%s: line %d is %q, want %q", name, i+1, a[i], b[i])
		}
	}
}

func cutLast(line string) (before, after string, found bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || line[0] == '#' {
		return line, "", false
	}
	return line[:i], line[i+1:], true
}

// TestCompressedWhereItIsAsked reads what is compressed, and what is not.
func TestCompressedWhereItIsAsked(t *testing.T) {
	for _, c := range []struct {
		compress bool
		accept   string
		want     string
	}{{true, "gzip", "gzip"}, {true, "br, gzip;q=0.5", "gzip"}, {true, "gzip;q=0", ""}, {true, "", ""}, {false, "gzip", ""}} {
		server := httptest.NewServer(New(source(made(2, 2))).Handler(slog.New(slog.DiscardHandler), c.compress))
		r, _ := http.NewRequest(http.MethodGet, server.URL, nil)
		r.Header.Set("Accept-Encoding", c.accept)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		server.Close()
		if got := answer.Header.Get("Content-Encoding"); got != c.want || err != nil || (got == "") != bytes.Contains(body, []byte("waymark_class_info")) {
			t.Errorf("%+v: the encoding is %q, %v", c, got, err)
		}
	}
}

// TestSomeNames asks for one metric alone.
func TestSomeNames(t *testing.T) {
	server := httptest.NewServer(New(source(made(2, 2))).Handler(slog.New(slog.DiscardHandler), true))
	defer server.Close()
	text, _ := get(t, server.URL+"?name[]=waymark_class_info", "")
	if !strings.Contains(text, "waymark_class_info{") || strings.Contains(text, "waymark_uplink_up") {
		t.Errorf("of one name:\n%s", text)
	}
}

// BenchmarkAnswer is a scrape over HTTP but for the reading, by format.
func BenchmarkAnswer(b *testing.B) {
	h := New(source(made(1000, 4))).Handler(slog.New(slog.DiscardHandler), false)
	for name, accept := range map[string]string{"text": "", "openmetrics": "application/openmetrics-text;version=1.0.0",
		"protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept", accept)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&nowhere{header: http.Header{}}, r)
			}
		})
	}
}

// nowhere is where an answer of a benchmark goes.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w *nowhere) WriteHeader(int)             {}
