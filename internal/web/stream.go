// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"
)

const (
	watchers = 16              // who may look at the same time
	patience = 5 * time.Second // with one who does not take what was sent
	behind   = 4               // events that one may be behind before it is left out
)

// stream reads once for all who look, and not while nobody does.
type stream struct {
	read  func() event
	sleep func() // called when the last has gone
	every time.Duration
	limit int
	newer chan bool // that something was changed by the page

	mu      sync.Mutex
	all     map[*watcher]bool
	closed  bool
	ends    chan struct{} // closed when the reader has nobody to read for; nil while none runs
	readers sync.WaitGroup
	reading sync.Mutex // one that begins waits for the one before to end
}

// watcher is one who looks.
type watcher struct {
	events chan []byte // closed when it is left out
	fresh  bool        // has seen nothing yet
}

var (
	errCrowded = errors.New("too many look at this page already")
	errClosed  = errors.New("this page is not served any more")
)

// join adds one who looks.
func (s *stream) join() (*watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errClosed
	case len(s.all) >= s.limit:
		return nil, fmt.Errorf("%w: %d: close one of them", errCrowded, s.limit)
	case s.all == nil:
		s.all = map[*watcher]bool{}
	}
	w := &watcher{events: make(chan []byte, behind), fresh: true}
	s.all[w] = true
	if s.ends == nil {
		s.ends = make(chan struct{})
		s.readers.Add(1)
		go s.run(s.ends)
	}
	return w, nil
}

// leave takes one out, who may have been left out already.
func (s *stream) leave(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(w)
}

func (s *stream) drop(w *watcher) {
	if !s.all[w] {
		return
	}
	delete(s.all, w)
	close(w.events)
	if len(s.all) == 0 {
		close(s.ends)
		s.ends = nil
	}
}

func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	for w := range s.all {
		s.drop(w)
	}
	s.mu.Unlock()
	s.readers.Wait()
}

// run reads until there is nobody to read for.
func (s *stream) run(ends <-chan struct{}) {
	defer s.readers.Done()
	s.reading.Lock()
	defer s.reading.Unlock()
	runtime.LockOSThread() // whose CPU time is measured
	defer runtime.UnlockOSThread()
	for {
		begun, used := time.Now(), threadTime()
		s.send(s.read())
		if !s.wait(ends, begun, s.pace(threadTime()-used)) {
			s.sleep()
			return
		}
	}
}

// send gives everyone what is new, and all to those who have seen nothing.
func (s *stream) send(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.all {
		text := e.changed
		if w.fresh {
			text = e.whole()
		}
		select {
		case w.events <- text:
			w.fresh = false
		default:
			s.drop(w)
		}
	}
}

// events serves the stream to one who looks.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	watcher, err := p.stream.join()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer p.stream.leave(watcher)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx keeps a stream until it has a few kilobytes
	out := http.NewResponseController(w)
	for err = write(w, out, "hello", p.hello()); err == nil; {
		select {
		case <-r.Context().Done():
			return
		case text, more := <-watcher.events:
			if !more {
				return
			}
			err = write(w, out, "frame", text)
		}
	}
}

// write sends one event; the deadline is each one's own.
func write(w http.ResponseWriter, out *http.ResponseController, name string, data []byte) error {
	_ = out.SetWriteDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data); err != nil {
		return err
	}
	return out.Flush()
}
