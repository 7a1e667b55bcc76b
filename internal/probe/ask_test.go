// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"
)

// loopback asks something of a server on this machine.
func loopback(t *testing.T, a ask) error {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 2*time.Second)
	defer done()
	return a(ctx, way{device: "lo", source: map[bool]netip.Addr{true: netip.MustParseAddr("127.0.0.1")}})
}

func TestTCPIsAnsweredByWhoRefusesToo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := l.Addr().(*net.TCPAddr).AddrPort()
	if err := loopback(t, tcp(to)); err != nil {
		t.Errorf("a server that accepts: %v", err)
	}
	l.Close()
	if err := loopback(t, tcp(to)); err != nil {
		t.Errorf("a host that refuses: %v", err)
	}
}

func TestHTTPIsAnsweredBelow500(t *testing.T) {
	status := 200
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer s.Close()
	for _, c := range []struct {
		status int
		works  bool
	}{{200, true}, {302, true}, {404, true}, {500, false}, {503, false}} {
		status = c.status
		if err := loopback(t, get(s.URL)); (err == nil) != c.works {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// TestDNS has a server first answer something else, and then the question.
func TestDNS(t *testing.T) {
	s, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	answers, code := true, byte(0)
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := s.ReadFrom(b)
			if err != nil {
				return
			}
			other := append([]byte{b[0] + 1, b[1]}, b[2:n]...)
			_, _ = s.WriteTo(other, from)
			_, _ = s.WriteTo(b[:n], from) // a query is no answer
			b[3] = code
			if b[2] |= 0x80; answers {
				_, _ = s.WriteTo(b[:n], from)
			}
		}
	}()
	to := s.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := loopback(t, dns(to)); err != nil {
		t.Errorf("a server that answers: %v", err)
	}
	code = 5 // refused
	if err := loopback(t, dns(to)); err != nil {
		t.Errorf("a server that refuses: %v", err)
	}
	code = serverFailure
	if err := loopback(t, dns(to)); !errors.As(err, new(refusal)) {
		t.Errorf("a server that fails: %v", err)
	}
	answers = false
	if err := loopback(t, dns(to)); err == nil {
		t.Error("what was no answer counted as one")
	}
}

func TestICMP(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: raw sockets")
	}
	if err := loopback(t, icmp(netip.MustParseAddr("127.0.0.1"))); err != nil {
		t.Error(err)
	}
	if err := loopback(t, icmp(netip.MustParseAddr("::1"))); err != nil {
		t.Error(err)
	}
}

// TestEndsAtOnce has a probe end that nobody answers, and whose time is not over:
// who follows an uplink whose link goes down waits for that.
func TestEndsAtOnce(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: raw sockets")
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	w := way{device: "lo", source: map[bool]netip.Addr{true: netip.MustParseAddr("127.0.0.1")}}
	nobody := netip.MustParseAddr("127.255.255.255") // a broadcast address, which no kernel answers for
	for name, a := range map[string]ask{"dns": dns(silent.LocalAddr().(*net.UDPAddr).AddrPort()), "icmp": icmp(nobody)} {
		ctx, end := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, end)
		begun := time.Now()
		if err := a(ctx, w); err == nil {
			t.Errorf("%s: an answer of nobody", name)
		} else if took := time.Since(begun); took > time.Second || took < 50*time.Millisecond {
			t.Errorf("%s: it ended after %s: %v", name, took, err)
		}
	}
}

// FuzzReply has no packet be too short or too odd to be judged.
func FuzzReply(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2}, true)
	f.Fuzz(func(t *testing.T, packet []byte, v4 bool) {
		to := netip.MustParseAddr("::1")
		if v4 {
			to = netip.MustParseAddr("127.0.0.1")
		}
		isReply(packet, to, 1, 2)
	})
}
