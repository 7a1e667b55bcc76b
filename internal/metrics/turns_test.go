// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"waymark/loader"
)

// TestScrapesWaitForTheirTurn has many come while one is read.
func TestScrapesWaitForTheirTurn(t *testing.T) {
	const many = 3 * scrapesAtATime
	var arrived, answered sync.WaitGroup
	s := source(made(2, 2))
	read := s.Read
	s.Read = func() (*loader.Sample, error) { arrived.Wait(); return read() }
	h := New(s).Handler(slog.New(slog.DiscardHandler), false)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Done()
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	arrived.Add(many)
	statuses := make([]int, many)
	for n := range statuses {
		answered.Go(func() {
			if a, err := http.Get(server.URL); err == nil {
				a.Body.Close()
				statuses[n] = a.StatusCode
			}
		})
	}
	answered.Wait()
	if slices.Min(statuses) != http.StatusOK || slices.Max(statuses) != http.StatusOK {
		t.Errorf("%d scrapes at a time: %v", many, statuses)
	}
}

// TestSlowClientsKeepNobodyWaiting has as many as are answered at a time take
// nothing of what they asked for.
func TestSlowClientsKeepNobodyWaiting(t *testing.T) {
	answered := make(chan bool, scrapesAtATime)
	s := source(made(700, 4)) // more than a socket holds, and less than may be unsent
	read := s.Read
	s.Read = func() (*loader.Sample, error) {
		select {
		case answered <- true:
		default:
		}
		return read()
	}
	server := httptest.NewServer(New(s).Handler(slog.New(slog.DiscardHandler), false))
	defer server.CloseClientConnections()
	for range scrapesAtATime {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.(*net.TCPConn).SetReadBuffer(1); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-answered
	}
	get(t, server.URL, "")
}

// TestFileIsWrittenByNobodysName has somebody who may write into the directory
// have root write elsewhere.
func TestFileIsWrittenByNobodysName(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "waymark.prom"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := New(source(made(1, 1))).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "kept" {
		t.Errorf("the other file is %q, %v", text, err)
	}
	if err := New(source(made(1, 1))).WriteFile(path + ".new"); err == nil {
		t.Error("a link is replaced by a file")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("who reads it may not: %v, %v", info, err)
	}
}
