// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

func addAddress(t *testing.T, l netlink.Link, text string, change func(*netlink.Addr)) {
	t.Helper()
	a, err := netlink.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	if change != nil {
		change(a)
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func readLink(t *testing.T, name string) plan.Link {
	t.Helper()
	links, err := Links([]string{name, "gone0"})
	if err != nil {
		t.Fatal(err)
	}
	if len(links) != 1 {
		t.Fatalf("links %v, want %s only", links, name)
	}
	return links[name]
}

func TestLinkIsLeased(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	a := addVeth(t, "a")
	leased := func(a *netlink.Addr) { a.PreferedLft, a.ValidLft = 3600, 3600 }
	addAddress(t, a, "10.0.1.2/24", nil)
	addAddress(t, a, "2001:db8:1::2/64", leased)
	if readLink(t, "a").Leased {
		t.Error("an IPv6 address that is valid for a time is a lease")
	}
	addAddress(t, a, "10.0.2.2/24", leased)
	if !readLink(t, "a").Leased {
		t.Error("an IPv4 address that is valid for a time is none")
	}
}

func TestLinksFollowStateAndCarrier(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	a := addVeth(t, "a")
	want := plan.Link{Index: a.Attrs().Index}
	check := func(state string) {
		t.Helper()
		if got := readLink(t, "a"); !gocmp.Equal(want, got, comparePrefix) {
			t.Errorf("%s: %+v, want %+v", state, got, want)
		}
	}
	check("down")
	if err := netlink.LinkSetUp(a); err != nil {
		t.Fatal(err)
	}
	want.Up = true
	check("up without carrier")
	peer, err := netlink.LinkByName("a-peer")
	if err == nil {
		err = netlink.LinkSetUp(peer)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 { // the kernel says so a little later
		if readLink(t, "a").Carrier {
			break
		}
		time.Sleep(time.Millisecond)
	}
	want.Carrier = true
	check("up")
}

func TestLinksGiveUsableAddresses(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	a := addVeth(t, "a")
	if err := netlink.LinkSetUp(a); err != nil {
		t.Fatal(err)
	}
	deprecated := func(a *netlink.Addr) { a.PreferedLft, a.ValidLft = 0, 3600 }
	addAddress(t, a, "10.0.1.2/24", nil)
	addAddress(t, a, "10.0.1.3/24", nil) // secondary
	addAddress(t, a, "10.0.9.1/32", func(a *netlink.Addr) { a.Peer, _ = netlink.ParseIPNet("10.0.9.2/32") })
	addAddress(t, a, "169.254.7.7/16", func(a *netlink.Addr) { a.Scope = unix.RT_SCOPE_LINK })
	addAddress(t, a, "2001:db8:1::2/64", nil)
	addAddress(t, a, "fd00::2/64", nil)
	addAddress(t, a, "2001:db8:1::dead/64", deprecated)
	addAddress(t, a, "2001:db8:1::7e/64", func(a *netlink.Addr) { a.Flags = 0 }) // tentative: the link has no carrier
	want := map[netip.Prefix]bool{}
	for _, text := range []string{"10.0.1.2/24", "10.0.1.3/24", "10.0.9.1/32", "2001:db8:1::2/64", "fd00::2/64", "2001:db8:1::dead/64"} {
		want[netip.MustParsePrefix(text)] = true
	}
	got, link := map[netip.Prefix]bool{}, readLink(t, "a")
	for _, p := range link.Addresses {
		got[p] = true
	}
	if last := link.Addresses[len(link.Addresses)-1:]; !slices.Equal(link.Deprecated, last) || last[0].Addr() != netip.MustParseAddr("2001:db8:1::dead") {
		t.Errorf("deprecated %v of %v: want 2001:db8:1::dead/64, as the last", link.Deprecated, link.Addresses)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}

func TestTunIsPointToPoint(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_NO_PI, NonPersist: true, Queues: 1}
	if err := netlink.LinkAdd(tun); err != nil {
		t.Skipf("needs /dev/net/tun: %v", err)
	}
	for _, fd := range tun.Fds {
		defer fd.Close()
	}
	if !readLink(t, "tun0").PointToPoint || readLink(t, "lo").PointToPoint {
		t.Error("tun0 is point to point and lo is not")
	}
}

func TestPointToPoint(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_RUNNING
	for name, c := range map[string]struct {
		flags uint32
		want  bool
	}{
		"ethernet":  {up | unix.IFF_BROADCAST | unix.IFF_MULTICAST, false},
		"dummy":     {up | unix.IFF_BROADCAST | unix.IFF_NOARP, false},
		"loopback":  {up | unix.IFF_LOOPBACK, false},
		"ppp":       {up | unix.IFF_POINTOPOINT | unix.IFF_NOARP | unix.IFF_MULTICAST, true},
		"WireGuard": {up | unix.IFF_POINTOPOINT | unix.IFF_NOARP, true},
		"gre":       {up | unix.IFF_NOARP, true},
	} {
		if got := pointToPoint(c.flags); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
