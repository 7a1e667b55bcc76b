// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections within the process, whose time is the test's.
type pipes struct {
	context.Context
	made chan net.Conn
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.Done():
		return nil, http.ErrServerClosed
	}
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// dial is the client's end of a new one, with what is sent first.
func (p pipes) dial(t *testing.T, request string) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	p.made <- there
	_ = here.SetDeadline(time.Now().Add(time.Hour))
	if _, err := io.WriteString(here, request); err != nil {
		t.Fatal(err)
	}
	return here
}

// TestSlowBody has clients that never end what they began to send. They keep
// nobody from asking, and go; who looks at the stream stays.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := NewPage(PageOptions{Host: "gw", Source: &counting{}, Named: Named{LetIn: func(*http.Request) bool { return true }},
			Past: func() (Past, error) { return Past{}, nil }, Agent: func() (*Agent, error) { return nil, nil },
			Explain: func(context.Context, Question) (json.RawMessage, error) { return encode("explained"), nil },
			Move:    func(context.Context, Move) (json.RawMessage, error) { return encode("moved"), nil }})
		ctx, cancel := context.WithCancel(t.Context())
		l := pipes{ctx, make(chan net.Conn)}
		ended := make(chan error)
		go func() { ended <- Serve(ctx, l, Options{Handler: page, Log: slog.New(slog.DiscardHandler)}) }()
		var slow []net.Conn
		for range questionsAtOnce + 1 {
			slow = append(slow, l.dial(t, fmt.Sprintf("POST /move HTTP/1.1\r\nHost: localhost\r\nX-Waymark-Token: %s\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", page.token)))
		}
		stream, looked := l.dial(t, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"), make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, stream)
			looked <- err
		}()
		begun := time.Now()
		answer, err := http.ReadResponse(bufio.NewReader(l.dial(t, "GET /explain?dst=192.0.2.1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")), nil)
		if took := time.Since(begun); err != nil || answer.StatusCode != http.StatusOK || took > 0 {
			t.Errorf("beside slow ones, a question is answered after %s: %v, %v", took, answer, err)
		}
		for _, c := range slow {
			text, err := io.ReadAll(c)
			if took := time.Since(begun); err != nil || !strings.Contains(string(text), "cannot be read") || took > readTimeout {
				t.Errorf("a slow one was told %q after %s, %v", text, took, err)
			}
		}
		select {
		case err := <-looked:
			t.Fatalf("the stream ended after %s: %v", time.Since(begun), err)
		case <-time.After(10 * readTimeout):
		}
		page.Close()
		cancel()
		<-looked
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
