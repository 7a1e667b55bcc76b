// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestAdvertisedDefaultStays applies on a host whose IPv6 default route came
// by a router advertisement: the kernel drops such routes when forwarding is
// switched on for any interface, lo included, so it must not be.
func TestAdvertisedDefaultStays(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.shell(t, "echo 1 > /proc/sys/net/ipv6/conf/up-a/accept_ra; ip -6 route del default")
	if err := s.Routers[byA].Do(func() error { return advertise("down") }); err != nil {
		t.Fatal(err)
	}
	const route = "default via fe80::1 dev up-a proto ra"
	for range 100 {
		if strings.Contains(must[string](t)(s.Host.Command("ip", "-6", "route").CombinedOutput()), route) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.apply(t, twoUplinks+"classes:\n  - {name: x, route: [b], match: [{uid: 1234}]}\n")
	s.before = "" // what is learned runs out, and the time it has left is in the state
	if out := s.ok(t, "status"); !strings.Contains(out, "not repaired for IPv6") {
		t.Errorf("status does not say that IPv6 goes without repair:\n%s", out)
	}
	if routes := must[string](t)(s.Host.Command("ip", "-6", "route").CombinedOutput()); !strings.Contains(routes, route) {
		t.Errorf("the advertised default route is gone:\n%s", routes)
	}
	s.ok(t, "down")
	if routes := must[string](t)(s.Host.Command("ip", "-6", "route").CombinedOutput()); !strings.Contains(routes, route) {
		t.Errorf("after down the advertised default route is gone:\n%s", routes)
	}
}

// advertise sends a router advertisement with a lifetime of half an hour and
// nothing else (RFC 4861, section 4.2).
func advertise(iface string) error {
	device, err := net.InterfaceByName(iface)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
		return err
	}
	message := make([]byte, 16)
	message[0], message[4] = 134, 64
	message[6], message[7] = 1800>>8, 1800&0xff
	allNodes := [16]byte{0: 0xff, 1: 0x02, 15: 1}
	return unix.Sendto(fd, message, 0, &unix.SockaddrInet6{Addr: allNodes, ZoneId: uint32(device.Index)})
}
