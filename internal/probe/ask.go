// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// way is what a probe is bound to, so that it can leave by no other way: the
// interface, whose rule stands before all others, and the uplink's address.
type way struct {
	device string
	source map[bool]netip.Addr // by whether it is IPv4; none: the kernel's choice
}

func (w way) control(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, w.device)
	})
	return errors.Join(err, failed)
}

// from is the source for a destination, as network; nil: the kernel's choice.
func (w way) from(to netip.Addr, network string) net.Addr {
	source, ok := w.source[to.Is4()]
	switch {
	case !ok:
		return nil
	case network == "tcp":
		return &net.TCPAddr{IP: source.AsSlice()}
	case network == "udp":
		return &net.UDPAddr{IP: source.AsSlice()}
	}
	return &net.IPAddr{IP: source.AsSlice()}
}

// dial connects as network, of "tcp", "udp" and those that have no ports.
func (w way) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Control: w.control, LocalAddr: w.from(to.Addr(), network), KeepAlive: -1}
	if to.Port() == 0 {
		return d.DialContext(ctx, network, to.Addr().String())
	}
	return d.DialContext(ctx, network, to.String())
}

// ask is one probe; no error means that the target answered.
type ask func(context.Context, way) error

// tcp is answered by a target that refuses, too.
func tcp(to netip.AddrPort) ask {
	return func(ctx context.Context, w way) error {
		c, err := w.dial(ctx, "tcp", to)
		if errors.Is(err, unix.ECONNREFUSED) {
			return nil
		}
		if err != nil {
			return err
		}
		// No TIME_WAIT is left behind, ten times a second.
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		return c.Close()
	}
}

// dns asks for the root's name servers: whatever the answer is, it is one, but
// that the server finds nobody itself, as a router's does when its line is dead.
func dns(to netip.AddrPort) ask {
	return func(ctx context.Context, w way) error {
		id := uint16(time.Now().UnixNano())
		query := binary.BigEndian.AppendUint16(nil, id)
		query = append(query, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1) // recursion desired; one question: ".", NS, IN
		fails := false
		err := exchange(ctx, w, "udp", to, query, func(answer []byte) bool {
			if len(answer) < 12 || binary.BigEndian.Uint16(answer) != id || answer[2]&0x80 == 0 {
				return false
			}
			fails = answer[3]&15 == serverFailure
			return true
		})
		if fails {
			return refusal("answers SERVFAIL")
		}
		return err
	}
}

// serverFailure is the response code of that name.
const serverFailure = 2

// exchange sends one datagram and waits for one that is the answer, as long as
// ctx lasts.
func exchange(ctx context.Context, w way, network string, to netip.AddrPort, query []byte, isAnswer func([]byte) bool) error {
	c, err := w.dial(ctx, network, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := c.Write(query); err != nil {
		return err
	}
	answer := make([]byte, 1500)
	for {
		n, err := c.Read(answer)
		if err != nil {
			return err
		}
		if isAnswer(answer[:n]) {
			return nil
		}
	}
}

// refusal is an answer that does not count as one, in words after the target's name.
type refusal string

// Error is those words.
func (r refusal) Error() string { return string(r) }

// get asks a web server; a status below 500 is an answer.
func get(url string) ask {
	return func(ctx context.Context, w way) error {
		transport := &http.Transport{DisableKeepAlives: true, Proxy: nil, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return nil, err
			}
			return w.dial(ctx, "tcp", to)
		}}
		client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode >= 500 {
			return refusal(fmt.Sprintf("answers with status %d", response.StatusCode))
		}
		return nil
	}
}
