// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

const mutableAddress = "127.0.0.1:9956"

// mutable is a way to the page that can fall silent: whose stream it is is not
// told, as when a laptop sleeps or a router forgets it. Who comes later gets on.
type mutable struct {
	mu     sync.Mutex
	silent chan struct{} // of those who connect now
	came   []*carried    // since it fell silent
}

// carried is one connection.
type carried struct {
	net.Conn
	stream atomic.Bool
}

func (s *site) mutable(t *testing.T) *mutable {
	t.Helper()
	var l net.Listener
	if err := s.Host.Do(func() (err error) { l, err = net.Listen("tcp", mutableAddress); return err }); err != nil {
		t.Fatal(err)
	}
	m := &mutable{silent: make(chan struct{})}
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended); l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			from := &carried{Conn: c}
			var to net.Conn
			if s.Host.Do(func() (err error) { to, err = net.Dial("tcp", pageAddress); return err }) != nil {
				from.Close()
				continue
			}
			m.mu.Lock()
			m.came = append(m.came, from)
			silent := m.silent
			m.mu.Unlock()
			go pass(to, from, silent, ended)
			go pass(from, to, silent, ended)
		}
	}()
	return m
}

// pass passes on what comes, and once it is silent nothing, not even an end.
func pass(to, from net.Conn, silent, ended chan struct{}) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-silent:
			if err == nil {
				<-ended
			}
			return
		default:
		}
		if c, is := from.(*carried); is && bytes.HasPrefix(buffer[:n], []byte("GET /events")) {
			c.stream.Store(true)
		}
		if _, wrong := to.Write(buffer[:n]); err != nil || wrong != nil {
			return
		}
	}
}

func (m *mutable) fallSilent() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.silent)
	for _, c := range m.came {
		if !c.stream.Load() { // which the browser would try before it makes a new one
			c.Close()
		}
	}
	m.silent, m.came = make(chan struct{}), nil
}

func (m *mutable) again() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.came) == 0 {
		return errors.New("nobody has")
	}
	return nil
}

// pageComesBack has the page's stream be lost without a word.
func (s *site) pageComesBack(t *testing.T, b *browser) {
	way := s.mutable(t)
	b.step(t, nil, "open", "url", "http://"+mutableAddress+"/", "user", "alice", "password", pagePassword)
	way.fallSilent()
	soon(t, "the page asks anew", way.again)
	b.says(t, "live")
}
