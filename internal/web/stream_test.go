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
	"strings"
	"testing"
	"time"

	"waymark/loader"
)

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

// TestPace bounds what the page costs: readings that take long come less often.
func TestPace(t *testing.T) {
	s := stream{every: time.Second}
	for took, want := range map[time.Duration]time.Duration{
		0: time.Second, 5 * time.Millisecond: time.Second, 20 * time.Millisecond: 3840 * time.Millisecond, time.Second: slowest,
	} {
		if got := s.pace(took); got != want {
			t.Errorf("after a reading of %s the next is after %s, want %s", took, got, want)
		}
	}
}

// TestHurry has what the page changed be read before its turn, and not at once
// again and again.
func TestHurry(t *testing.T) {
	s := stream{every: 20 * time.Millisecond, newer: make(chan bool, 1)}
	s.hurry()
	s.hurry()
	begun := time.Now()
	if !s.wait(nil, begun, time.Hour) || time.Since(begun) < s.every || len(s.newer) != 0 {
		t.Errorf("it went on after %s", time.Since(begun))
	}
	ended := make(chan struct{})
	close(ended)
	if s.wait(ended, begun, time.Hour) {
		t.Error("it goes on though nobody looks")
	}
}
