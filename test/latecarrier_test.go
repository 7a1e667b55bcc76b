// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestLateCarrier measures what TestConvergence does, with no agent, where the
// kernel itself hears late of a carrier: of a plain card or a tunnel it looks once
// a second, while a cable of the laboratory's is urgent.
func TestLateCarrier(t *testing.T) {
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("needs /dev/net/tun: %v", err)
	}
	s := newSite(t, lab.Options{})
	s.swallow(t)
	carrier := s.tunnelTo(t, byB, "tun-b")
	s.apply(t, thousandBy("  - {name: b, interface: tun-b}\n"))
	c := s.choir(t, many(49, 1))
	s.converges(t, c, many(1, 60), "carrier of a tunnel lost, no agent", func(broken bool) { carrier(!broken) })
}

// tunnelTo gives the host an interface whose packets come in at a router. The
// router's capture is of these from now on.
func (s *site) tunnelTo(t *testing.T, router int, name string) (carrier func(bool)) {
	t.Helper()
	here, there := s.openTunnel(t, s.Host, name), s.openTunnel(t, s.Routers[router], "tunnel")
	addAddress(t, s.Host, name, netip.MustParsePrefix("10.9.0.2/24"))
	s.captures[router] = must[*lab.Capture](t)(s.Routers[router].Capture("tunnel"))
	go func() {
		packet := make([]byte, 64<<10)
		for {
			n, err := here.Read(packet)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = there.Write(packet[:n]) // what comes while it ends is lost
			}
		}
	}()
	carrier = func(on bool) {
		t.Helper()
		const tunSetCarrier = 0x400454e2 // TUNSETCARRIER
		value := map[bool]int{true: 1}[on]
		raw := must[syscall.RawConn](t)(here.SyscallConn())
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.IoctlSetPointerInt(int(fd), tunSetCarrier, value) })
		s.check(t, errors.Join(err, failed))
	}
	// It is "unknown" until it was down once.
	for _, on := range []bool{false, true} {
		carrier(on)
		soon(t, "the tunnel has its carrier, or none", func() error {
			link, err := s.Host.Handle().LinkByName(name)
			if err == nil && (link.Attrs().OperState == netlink.OperUp) != on {
				err = fmt.Errorf("it is %s", link.Attrs().OperState)
			}
			return err
		})
	}
	return carrier
}

// openTunnel makes an interface of a node, without neighbours, until the site's
// end.
func (s *site) openTunnel(t *testing.T, n *lab.Node, name string) (file *os.File) {
	t.Helper()
	s.check(t, n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request := must[*unix.Ifreq](t)(unix.NewIfreq(name))
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		file = os.NewFile(uintptr(fd), name)
		return err
	}))
	s.foreigners = append(s.foreigners, file.Close)
	link := must[netlink.Link](t)(n.Handle().LinkByName(name))
	const room = 10_000 // packets, for more than all classes send at once
	s.check(t, n.Handle().LinkSetTxQLen(link, room))
	s.check(t, n.Handle().LinkSetUp(link))
	return file
}
