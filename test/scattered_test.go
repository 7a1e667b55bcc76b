// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestScatteredHeaders has a driver that leaves all but the link header of its
// packets in pages, as some network cards do: they are read all the same.
func TestScatteredHeaders(t *testing.T) {
	s := newTraffic(t, lab.Options{Forward: true})
	tap := s.openTap(t, "tap0")
	addAddress(t, s.Host, "tap0", netip.MustParsePrefix("172.29.0.1/24"))
	addAddress(t, s.Host, "tap0", netip.MustParsePrefix("2001:db8:29::1/64"))
	s.apply(t, threeUplinks+`
classes:
  - {name: port, route: [c], match: [{iif: tap0, proto: udp, dport: 9}]}
  - {name: guests, route: [b], match: [{iif: tap0}]}
`)
	link := must[netlink.Link](t)(s.Host.Handle().LinkByName("tap0"))
	sources := map[ip]netip.Addr{v4: netip.MustParseAddr("172.29.0.2"), v6: netip.MustParseAddr("2001:db8:29::2")}
	pad := []byte{unix.IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0}
	for _, f := range bothFamilies {
		protocol := map[ip]uint16{v4: unix.ETH_P_IP, v6: unix.ETH_P_IPV6}[f]
		for port, router := range map[uint16]int{9: byC, 10: byB} {
			for name, options := range map[string][]byte{"plain": nil, "options": map[ip][]byte{v4: {1, 1, 1, 0}, v6: pad}[f]} {
				t.Run(fmt.Sprintf("%s to port %d/%s", name, port, f), func(t *testing.T) {
					d := datagram{from: sources[f], to: f.service(1).Addr(), sport: 5, dport: port, options: options}
					frame := ethernet(protocol)
					copy(frame, link.Attrs().HardwareAddr)
					frame[6] = 2
					s.arrives(t, d.to, router, d.from, func() {
						if _, err := unix.Writev(tap, [][]byte{frame, d.bytes()}); err != nil {
							t.Error(err)
						}
					})
				})
			}
		}
	}
}

// openTap makes an interface on the host whose packets keep the parts in
// which they are written, until the site's end.
func (s *site) openTap(t *testing.T, name string) (fd int) {
	t.Helper()
	const napi, napiFrags = 0x10, 0x20 // IFF_NAPI, IFF_NAPI_FRAGS
	err := s.Host.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		request := must[*unix.Ifreq](t)(unix.NewIfreq(name))
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | napi | napiFrags)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return err
		}
		return withoutGRO(name)
	})
	if err != nil {
		t.Skipf("the kernel has no such interfaces: %v", err)
	}
	s.foreigners = append(s.foreigners, func() error { return unix.Close(fd) })
	if err := s.Host.Handle().LinkSetUp(must[netlink.Link](t)(s.Host.Handle().LinkByName(name))); err != nil {
		t.Fatal(err)
	}
	return fd
}

// withoutGRO has an interface pass its packets on as they are.
func withoutGRO(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := [2]uint32{unix.ETHTOOL_SGRO, 0} // struct ethtool_value
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:], name)
	request.data = unsafe.Pointer(&value)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
