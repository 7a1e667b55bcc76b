// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oddities are ways to send that applications have beside the usual ones, to
// destinations that are given as addresses.
var oddities = map[string]func(to []netip.Addr) error{
	"sendmmsg":   sendMany,
	"zerocopy":   sendZeroCopy,
	"interface":  sendByInterface,
	"reconnect":  func(to []netip.Addr) error { return reconnect(unix.SOCK_DGRAM, to, true) },
	"connect on": func(to []netip.Addr) error { return reconnect(unix.SOCK_DGRAM, to, false) },
	"aside":      sendAside,
	"begin anew": func(to []netip.Addr) error { return reconnect(unix.SOCK_STREAM, to, true) },
	"fast open":  fastOpen,
	"passed":     sendByPassed,
	"reuse port": sendShared,
	"to all":     sendToAll,
	"lite":       func(to []netip.Addr) error { return sendLater([]string{"lite", "-", to[0].String()}) },
	"corked":     sendCorked,
	"raw UDP":    sendRawUDP,

	"lite, connected": sendLiteConnected,
	"raw TCP":         sendRawTCP,
	"traced":          sendTraced,

	"service": func(to []netip.Addr) error {
		return sendWithOption(to[0], false, unix.IPPROTO_IP, unix.IP_TOS, service)
	},
	"service, connected": func(to []netip.Addr) error { return sendWithOption(to[0], true, unix.IPPROTO_IP, unix.IP_TOS, service) },
	"service, stream":    connectOfService,

	"interface beside, connected": func(to []netip.Addr) error { return sendBesideConnected("up-a", netip.Addr{}, to[0]) },
	"source beside, connected":    func(to []netip.Addr) error { return sendBesideConnected("", to[1], to[0]) },
	"both beside, connected":      func(to []netip.Addr) error { return sendBesideConnected("up-a", to[1], to[0]) },

	"knock": func(to []netip.Addr) error { return knock(to, netip.Addr{}) },

	"knock from an address": func(to []netip.Addr) error { return knock(to, to[1]) },

	"one interface":            func(to []netip.Addr) error { return sendByOneInterface(to[0], false) },
	"one interface, connected": func(to []netip.Addr) error { return sendByOneInterface(to[0], true) },
	"one beside, connected":    sendByOneBeside,
}

func beOdd(args []string) error {
	how := oddities[args[0]]
	if how == nil {
		return fmt.Errorf("no oddity %q", args[0])
	}
	var to []netip.Addr
	for _, text := range args[1:] {
		to = append(to, netip.MustParseAddr(text))
	}
	return how(to)
}

func datagramSocket(to netip.Addr) (fd int, err error) {
	return unix.Socket(familyOf(to), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
}

// sendMany sends one datagram to each in one call.
func sendMany(to []netip.Addr) error {
	fd, err := datagramSocket(to[0])
	if err != nil {
		return err
	}
	type message struct {
		header unix.Msghdr
		length uint32
		_      uint32
	}
	data := []byte("way")
	vector := unix.Iovec{Base: &data[0], Len: uint64(len(data))}
	messages, names := make([]message, len(to)), make([][]byte, len(to))
	for i, a := range to {
		names[i] = rawSockaddr(a, servicePort)
		messages[i].header = unix.Msghdr{Name: &names[i][0], Namelen: uint32(len(names[i])), Iov: &vector, Iovlen: 1}
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0)
	if errno != 0 || int(n) != len(to) {
		return fmt.Errorf("sent %d of %d: %w", n, len(to), errno)
	}
	return nil
}

// rawSockaddr is an address as the kernel reads it.
func rawSockaddr(a netip.Addr, port uint16) []byte {
	name := make([]byte, 16)
	copy(name[4:], a.AsSlice())
	if a.Is6() {
		name = make([]byte, 28)
		copy(name[8:], a.AsSlice())
	}
	order.NativeEndian.PutUint16(name, uint16(familyOf(a)))
	order.BigEndian.PutUint16(name[2:], port)
	return name
}

// sendZeroCopy has the kernel send from the application's own pages.
func sendZeroCopy(to []netip.Addr) error {
	fd, err := datagramSocket(to[0])
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return err
	}
	return unix.Sendto(fd, make([]byte, 1400), unix.MSG_ZEROCOPY, sockaddr(to[0], servicePort))
}

// awaitAnswer waits for one: to what comes when its socket is gone, the kernel
// says that nobody is there.
func awaitAnswer(fd int) error {
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return err
	}
	if _, err := unix.Read(fd, make([]byte, 100)); err != nil {
		return fmt.Errorf("wait for the answer: %w", err)
	}
	return nil
}

// reconnect connects one socket to each in turn, and sends; in between it
// may take the first connection back.
func reconnect(kind int, to []netip.Addr, back bool) error {
	fd, err := unix.Socket(familyOf(to[0]), kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return err
	}
	for _, a := range to {
		if err := unix.Connect(fd, sockaddr(a, servicePort)); err != nil {
			return fmt.Errorf("connect to %s: %w", a, err)
		}
		if _, err := unix.Write(fd, []byte("way")); err != nil {
			return err
		}
		if !back {
			// An answer that came after the end of the connection would be answered in turn, by the kernel.
			if _, err := unix.Read(fd, make([]byte, 100)); err != nil {
				return fmt.Errorf("wait for the answer of %s: %w", a, err)
			}
			continue
		}
		nobody := make([]byte, 16) // AF_UNSPEC
		if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nobody[0])), 16); errno != 0 {
			return fmt.Errorf("take the connection back: %w", errno)
		}
	}
	return nil
}

// fastOpen connects by its first send.
func fastOpen(to []netip.Addr) error {
	fd, err := unix.Socket(familyOf(to[0]), unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Sendto(fd, []byte("way\n"), unix.MSG_FASTOPEN, sockaddr(to[0], servicePort)); err != nil {
		return err
	}
	_, err = unix.Read(fd, make([]byte, 100))
	return err
}

// sendByPassed sends by a socket that was passed on by a message.
func sendByPassed(to []netip.Addr) error {
	fd, err := datagramSocket(to[0])
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(fd), nil, 0); err != nil {
		return err
	}
	unix.Close(fd)
	control := make([]byte, 100)
	_, n, _, _, err := unix.Recvmsg(pair[1], make([]byte, 1), control, 0)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return err
	}
	rights, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	return unix.Sendto(rights[0], []byte("way"), 0, sockaddr(to[0], servicePort))
}

// sendShared sends by the second of two sockets on one port.
func sendShared(to []netip.Addr) (err error) {
	var fds [2]int
	for i := range fds {
		if fds[i], err = datagramSocket(to[0]); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fds[i], unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
		any := netip.IPv4Unspecified()
		if to[0].Is6() {
			any = netip.IPv6Unspecified()
		}
		if err := unix.Bind(fds[i], sockaddr(any, 4711)); err != nil {
			return err
		}
	}
	return unix.Sendto(fds[1], []byte("way"), 0, sockaddr(to[0], servicePort))
}

// sendToAll may send to all on a link.
func sendToAll(to []netip.Addr) error {
	fd, err := datagramSocket(to[0])
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return err
	}
	for range 2 {
		if err := unix.Sendto(fd, []byte("way"), 0, sockaddr(to[0], servicePort)); err != nil {
			return err
		}
	}
	return nil
}

// sendCorked makes one datagram of two calls.
func sendCorked(to []netip.Addr) error {
	fd, err := datagramSocket(to[0])
	if err != nil {
		return err
	}
	if err := unix.Sendto(fd, []byte("w"), unix.MSG_MORE, sockaddr(to[0], servicePort)); err != nil {
		return err
	}
	return unix.Sendto(fd, []byte("ay"), 0, sockaddr(to[0], servicePort))
}

// sendRawUDP writes the UDP header itself, without a checksum.
func sendRawUDP(to []netip.Addr) error {
	fd, err := unix.Socket(familyOf(to[0]), unix.SOCK_RAW, unix.IPPROTO_UDP)
	if err != nil {
		return err
	}
	return unix.Sendto(fd, []byte{0x12, 0x34, 0, servicePort, 0, 12, 0, 0, 'w', 'a', 'y', 's'}, 0, sockaddr(to[0], 0))
}

// sendRawTCP writes a TCP header itself: a SYN.
func sendRawTCP(to []netip.Addr) error {
	fd, err := unix.Socket(familyOf(to[0]), unix.SOCK_RAW, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	header := []byte{0x12, 0x34, 0, servicePort, 0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 2, 4, 0, 0, 0, 0, 0}
	return unix.Sendto(fd, header, 0, sockaddr(to[0], 0))
}

// sendAside sends to the peer that its socket is connected to, then past it to
// another, and to its peer again.
func sendAside(to []netip.Addr) error {
	fd, err := datagramSocket(to[0])
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, sockaddr(to[0], servicePort)); err != nil {
		return err
	}
	for n := range 2 {
		if _, err := unix.Write(fd, []byte("way")); err != nil {
			return err
		}
		if err := awaitAnswer(fd); err != nil || n == 1 {
			return err
		}
		// Nobody is there, who would answer it. That one was dropped which must not leak is no error here.
		if err := unix.Sendto(fd, []byte("way"), 0, sockaddr(to[1], servicePort-1)); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
	return nil
}

// sendLiteConnected sends by a connected socket of UDP-Lite.
func sendLiteConnected(to []netip.Addr) error {
	fd, err := unix.Socket(familyOf(to[0]), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDPLITE)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, sockaddr(to[0], servicePort)); err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("way"))
	return err
}
