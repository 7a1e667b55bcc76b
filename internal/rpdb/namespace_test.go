// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespace puts the test into a network namespace of its own, with two
// uplinks a (10.0.1.2/24, 2001:db8:1::2/64) and b (10.0.2.2/24,
// 2001:db8:2::2/64), and opens a Handle on it. The namespace goes with the
// test's thread, which is never given back.
func namespace(t testing.TB) *Handle {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	addLink(t, "a", "10.0.1.2/24", "2001:db8:1::2/64")
	addLink(t, "b", "10.0.2.2/24", "2001:db8:2::2/64")
	h, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func addLink(t testing.TB, name string, addresses ...string) {
	t.Helper()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-peer"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"lo", name, name + "-peer"} {
		setUp(t, n)
	}
	for _, text := range addresses {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		if netip.MustParsePrefix(text).Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(veth, addr); err != nil {
			t.Fatal(err)
		}
	}
}

func setUp(t testing.TB, name string) {
	t.Helper()
	if err := netlink.LinkSetUp(link(t, name)); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
