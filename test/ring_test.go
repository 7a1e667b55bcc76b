// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is an io_uring for one request at a time.
type ring struct {
	fd           int
	sq, cq, sqes []byte
	params       [120]byte // struct io_uring_params
}

// Offsets in struct io_uring_params, and in its two structs of offsets.
const (
	sqOffsets, cqOffsets          = 40, 80
	sqTail, sqMask, sqArray       = 4, 8, 24
	cqHead, cqMask, cqes          = 0, 8, 20
	mapSQ, mapCQ, mapSQEs         = 0, 0x8000000, 0x10000000
	opConnect, opSend, opSocket   = 16, 26, 45
	enterGetEvents, requestAsync  = 1, 1 << 4
	sizeSQE, sizeCQE, ringMapping = 64, 16, 4096
)

func newRing() (r *ring, err error) {
	r = &ring{}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&r.params)), 0)
	if errno != 0 {
		return nil, errno
	}
	r.fd = int(fd)
	for at, to := range map[int64]*[]byte{mapSQ: &r.sq, mapCQ: &r.cq, mapSQEs: &r.sqes} {
		if *to, err = unix.Mmap(r.fd, at, ringMapping, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *ring) offset(of, name int) uint32 {
	return order.NativeEndian.Uint32(r.params[of+name:])
}

// do runs one request by the kernel's own thread, and returns its result.
func (r *ring) do(op byte, fd int, off, addr uint64, length uint32) (int, error) {
	word := func(b []byte, at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }
	tail := word(r.sq, r.offset(sqOffsets, sqTail))
	index := *tail & *word(r.sq, r.offset(sqOffsets, sqMask))
	e := r.sqes[index*sizeSQE:][:sizeSQE]
	clear(e)
	e[0], e[1] = op, requestAsync
	order.NativeEndian.PutUint32(e[4:], uint32(fd))
	order.NativeEndian.PutUint64(e[8:], off)
	order.NativeEndian.PutUint64(e[16:], addr)
	order.NativeEndian.PutUint32(e[24:], length)
	*word(r.sq, r.offset(sqOffsets, sqArray)+4*index) = index
	*tail++
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 1, 1, enterGetEvents, 0, 0); errno != 0 {
		return 0, errno
	}
	head := word(r.cq, r.offset(cqOffsets, cqHead))
	at := r.offset(cqOffsets, cqes) + *head&*word(r.cq, r.offset(cqOffsets, cqMask))*sizeCQE
	result := int32(*word(r.cq, at+8))
	*head++
	if result < 0 {
		return 0, unix.Errno(-result)
	}
	return int(result), nil
}

// sendByRing makes a UDP socket, connects it and sends one datagram, all by
// io_uring.
func sendByRing(args []string) error {
	to := netip.MustParseAddr(args[0])
	r, err := newRing()
	if err != nil {
		return fmt.Errorf("set up a ring: %w", err)
	}
	family, name := unix.AF_INET, make([]byte, 16)
	copy(name[4:], to.AsSlice())
	if to.Is6() {
		family, name = unix.AF_INET6, make([]byte, 28)
		copy(name[8:], to.AsSlice())
	}
	order.NativeEndian.PutUint16(name, uint16(family))
	order.BigEndian.PutUint16(name[2:], servicePort)
	fd, err := r.do(opSocket, family, unix.SOCK_DGRAM, 0, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	if _, err := r.do(opConnect, fd, uint64(len(name)), uint64(uintptr(unsafe.Pointer(&name[0]))), 0); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_, err = r.do(opSend, fd, 0, uint64(uintptr(unsafe.Pointer(&name[0]))), 2)
	return err
}
