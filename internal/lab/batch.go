// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Batch is as many datagrams as one sendmmsg(2) sends, all of one payload of
// zeros.
type Batch struct {
	messages  []message
	vector    unix.Iovec
	addresses []unix.RawSockaddrInet4
}

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	sent   uint32
	_      [4]byte
}

// NewBatch is one of n datagrams of so many bytes, for a connected socket.
func NewBatch(n, size int) *Batch {
	b := &Batch{messages: make([]message, n)}
	b.vector.Base = unsafe.SliceData(make([]byte, size))
	b.vector.SetLen(size)
	for i := range b.messages {
		b.messages[i].header.Iov = &b.vector
		b.messages[i].header.SetIovlen(1)
	}
	return b
}

// Address gives every datagram an IPv4 destination of its own.
func (b *Batch) Address(to []netip.AddrPort) {
	b.addresses = make([]unix.RawSockaddrInet4, len(b.messages))
	for i := range b.messages {
		b.addresses[i] = rawAddress(to[i])
		b.messages[i].header.Name = (*byte)(unsafe.Pointer(&b.addresses[i]))
		b.messages[i].header.Namelen = unix.SizeofSockaddrInet4
	}
}

func rawAddress(a netip.AddrPort) unix.RawSockaddrInet4 {
	raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
	port := (*[2]byte)(unsafe.Pointer(&raw.Port))
	port[0], port[1] = byte(a.Port()>>8), byte(a.Port())
	return raw
}

// Send sends the first n by one call, and returns how many of them it took. Its
// errors are the kernel's.
func (b *Batch) Send(fd, n int) (int, error) {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("sendmmsg: %w", errno)
	}
	return int(sent), nil
}
