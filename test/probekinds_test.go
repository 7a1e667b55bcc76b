// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// What a service that is probed does.
const (
	itAnswers int32 = iota
	itIsSilent
	itFails // as a web server can, with a status
)

// A probedService is a name server and a web server at the far end, on two
// addresses each, that answer or do not.
type probedService struct {
	does atomic.Int32

	mu    sync.Mutex
	asked map[netip.Addr]bool // by whom
}

func (p *probedService) note(from string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[netip.MustParseAddrPort(from).Addr().Unmap()] = true
}

// names answers every query with itself, as an answer.
func (p *probedService) names(c net.PacketConn) {
	query := make([]byte, 512)
	for {
		n, from, err := c.ReadFrom(query)
		if err != nil {
			return
		}
		p.note(from.String())
		if query[2] |= 0x80; p.does.Load() == itAnswers {
			_, _ = c.WriteTo(query[:n], from)
		}
	}
}

func (p *probedService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.note(r.RemoteAddr)
	switch p.does.Load() {
	case itIsSilent:
		<-r.Context().Done()
	case itFails:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// probedService starts one on the usual ports of the far server's second IPv4
// address, and on others of its second IPv6 address. It ends with the test.
func (s *site) probedService(t *testing.T) *probedService {
	t.Helper()
	p := &probedService{asked: map[netip.Addr]bool{}}
	web := &http.Server{Handler: p}
	t.Cleanup(func() { web.Close() })
	s.check(t, s.Far.Do(func() error {
		for _, at := range []string{"203.0.113.2:53", "[2001:db8:f::2]:5353"} {
			c, err := net.ListenPacket("udp", at)
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			go p.names(c)
		}
		for _, at := range []string{"203.0.113.2:80", "[2001:db8:f::2]:8080"} {
			l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at)
			if err != nil {
				return err
			}
			go web.Serve(l)
		}
		return nil
	}))
	return p
}

// probedBy is a policy whose first uplink is probed so, ten times a second.
func probedBy(targets string) string {
	return "uplinks:\n  - {name: a, interface: up-a, probe: {" + targets + ", interval: 100ms, hold: 100ms}}\n" + uplinkB +
		"classes: [{name: group, route: [a, b], match: [{cgroup: app.slice}]}]\n"
}

// TestProbeKinds has name servers and web servers asked, which then do not
// answer, answer that they cannot, or are behind a gateway that leads nowhere:
// the class leaves by b, and goes back when they answer. All are asked by a alone.
func TestProbeKinds(t *testing.T) {
	for _, kind := range []struct {
		name, targets, target string
		failures              map[int32]string
	}{
		{"dns", `dns: [203.0.113.2, "[2001:db8:f::2]:5353"]`, "dns 203.0.113.2:53", map[int32]string{itIsSilent: "does not answer"}},
		{"http", `http: ["http://203.0.113.2/", "http://[2001:db8:f::2]:8080/health"]`, "http://203.0.113.2/",
			map[int32]string{itIsSilent: "does not answer", itFails: "answers with status 503"}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			s := newSite(t, lab.Options{})
			s.cgroups(t, "app.slice")
			p := s.probedService(t)
			a := s.agent(t, probedBy(kind.targets+", timeout: 1s"))
			s.goes(t, "app.slice", byA)
			for does, words := range kind.failures {
				p.does.Store(does)
				a.says(t, kind.target+" "+words)
				s.goes(t, "app.slice", byB)
				p.does.Store(itAnswers)
				s.goes(t, "app.slice", byA)
			}
			s.dead(t, byA, true)
			s.goes(t, "app.slice", byB)
			s.dead(t, byA, false)
			s.goes(t, "app.slice", byA)
			p.mu.Lock()
			defer p.mu.Unlock()
			if u := s.Uplink(byA); len(p.asked) != 2 || !p.asked[u.Address4] || !p.asked[u.Address6] {
				t.Errorf("they were asked by %v, want by %s and %s", p.asked, u.Address4, u.Address6)
			}
		})
	}
}

// TestProbeLimits has a router lose every second packet, and hold each back: of
// no probe so many are lost in a row that this would tell, but the limits do: no
// answer that is late is lost with the usual timeout.
func TestProbeLimits(t *testing.T) {
	for _, limit := range []struct {
		name, says string
		begin      func(s *site) (*lab.Delay, error)
	}{
		{"loss: 20%", "% of the last 20 probes lost", func(s *site) (*lab.Delay, error) {
			n := 0
			return s.Delay(byA, 0, func(packet []byte) bool {
				if packet[9] == unix.IPPROTO_ICMP {
					n++
				}
				return n%2 == 1
			})
		}},
		{"latency: 200ms", "icmp 203.0.113.1: answers take ", func(s *site) (*lab.Delay, error) {
			return s.Delay(byA, 150*time.Millisecond, nil)
		}},
	} {
		t.Run(limit.name, func(t *testing.T) {
			s := newSite(t, lab.Options{})
			s.cgroups(t, "app.slice")
			a := s.agent(t, probedBy("icmp: [203.0.113.1], down: 50, "+limit.name))
			s.goes(t, "app.slice", byA)
			d := must[*lab.Delay](t)(limit.begin(s))
			a.says(t, limit.says)
			s.goes(t, "app.slice", byB)
			if text := s.ok(t, "status"); !strings.Contains(text, limit.says) {
				t.Errorf("status does not say %q:\n%s", limit.says, text)
			}
			s.check(t, d.Close())
			s.goes(t, "app.slice", byA)
			soon(t, "its record says that it answers", func() error {
				if r := s.record(t); r == nil || len(r.Probes) != 1 || r.Probes[0].Down != "" {
					return fmt.Errorf("it says %+v", r)
				} else if bad := r.Probes[0].Targets[0].Bad; bad != "" {
					return errors.New(bad)
				}
				return nil
			})
		})
	}
}
