// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What applications name beside a datagram, or of a socket: an interface, or a source.

// sendByInterface names the interface beside the datagram: up-a.
func sendByInterface(to []netip.Addr) error {
	fd, err := datagramSocket(to[0])
	if err != nil {
		return err
	}
	if err := sendBeside(fd, "up-a", netip.Addr{}, to[0], sockaddr(to[0], servicePort)); err != nil {
		return err
	}
	return awaitAnswer(fd)
}

// sendBesideConnected names an interface or a source beside what is for the peer.
func sendBesideConnected(device string, source, to netip.Addr) error {
	fd, err := datagramSocket(to)
	if err != nil {
		return err
	}
	// Nobody is there: what answers would come to an address that is not the socket's.
	if err := unix.Connect(fd, sockaddr(to, servicePort-1)); err != nil {
		return err
	}
	return sendBeside(fd, device, source, to, nil)
}

func sendBeside(fd int, device string, source, to netip.Addr, peer unix.Sockaddr) error {
	index := 0
	if device != "" {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		index = i.Index
	}
	four, six := &unix.Inet4Pktinfo{Ifindex: int32(index)}, &unix.Inet6Pktinfo{Ifindex: uint32(index)}
	if source.Is4() {
		four.Spec_dst = source.As4()
	} else if source.IsValid() {
		six.Addr = source.As16()
	}
	info := unix.PktInfo4(four)
	if to.Is6() {
		info = unix.PktInfo6(six)
	}
	_, err := unix.SendmsgN(fd, []byte("way"), info, peer, 0)
	return err
}

// sendByOneInterface has all that the socket sends leave by an interface: up-a.
func sendByOneInterface(to netip.Addr, connected bool) error {
	level, option := unix.IPPROTO_IP, unix.IP_UNICAST_IF
	if to.Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_IF
	}
	return sendWithOption(to, connected, level, option, func(index uint32) []byte { return order.BigEndian.AppendUint32(nil, index) })
}

// sendByOneBeside has an IPv6 socket do so by what is otherwise said beside a datagram; of IPv4 there is no such option.
func sendByOneBeside(to []netip.Addr) error {
	if to[0].Is4() {
		return sendByOneInterface(to[0], true)
	}
	return sendWithOption(to[0], true, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, func(index uint32) []byte {
		return order.NativeEndian.AppendUint32(make([]byte, 16), index) // behind an address: none
	})
}

// sendWithOption sends by a socket with an option that names the interface up-a.
func sendWithOption(to netip.Addr, connected bool, level, option int, value func(index uint32) []byte) error {
	device, err := net.InterfaceByName("up-a")
	if err != nil {
		return err
	}
	fd, err := datagramSocket(to)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptString(fd, level, option, string(value(uint32(device.Index)))); err != nil {
		return err
	}
	if connected {
		if err := unix.Connect(fd, sockaddr(to, servicePort)); err != nil {
			return err
		}
		_, err = unix.Write(fd, []byte("way"))
	} else {
		err = unix.Sendto(fd, []byte("way"), 0, sockaddr(to, servicePort))
	}
	if err != nil {
		return err
	}
	return awaitAnswer(fd)
}
