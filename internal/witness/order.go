// SPDX-License-Identifier: Apache-2.0

// Package witness has processes of each class open sockets, on the host or in
// a copy of it, and sees what class they are given and by which uplink they
// leave.
package witness

import (
	"encoding/json"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// order is one socket that a client opens, uses and closes.
type order struct {
	UID   uint32         // of who opens it
	Proto uint8          // TCP, UDP, or the family's ICMP; of a raw one any
	From  netip.AddrPort // bound to, whether or not the host has it; zero: not bound
	To    netip.AddrPort
	How   how
	Frame []byte        // of a framed one, which leaves by the loopback
	Send  bool          // a datagram, once it is connected; TCP sends by itself
	Wait  time.Duration // for a TCP connection to be there
}

// how is what is done with a socket.
type how int

const (
	connected how = iota
	eachTime      // a datagram is sent by a socket that is not connected
	raw           // it is of the protocol itself, and nothing is done
	framed        // it is of AF_PACKET, and a frame leaves by it
)

// String is what the programs give a class then.
func (h how) String() string {
	return [...]string{"it", "a datagram of a socket that is not connected", "a raw socket", "a packet that no socket tells of"}[h]
}

// outcome is what came of it.
type outcome struct {
	Mark  uint32         // SO_MARK when it was used, or was to be
	Local netip.AddrPort // the address that it had then
	Call  string         // that failed; "": none did
	Err   string         // name of the errno
}

// clientName is the argument zero by which this program knows that it is a
// client.
const clientName = "waymark-witness"

// ClientMain does a client's work if this process was started to be one, and
// then returns true. A program that uses this package calls it first thing.
// A client carries out the orders that it reads, one after the other, until
// there are no more: then, or when its parent is gone, it ends.
func ClientMain() bool {
	if len(os.Args) != 1 || os.Args[0] != clientName {
		return false
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if in.Decode(&o) != nil || out.Encode(o.carryOut()) != nil {
			return true
		}
	}
}

// carryOut needs a thread to itself, whose uid changes.
func (o order) carryOut() outcome {
	s := &socket{order: o, fd: -1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.onThread()
	}()
	<-done
	return s.outcome
}

// family is that of the socket.
func (o order) family() int {
	if o.How == framed {
		return unix.AF_PACKET
	}
	if o.To.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// kind is the type of the socket.
func (o order) kind() int {
	switch {
	case o.How == raw, o.How == framed:
		return unix.SOCK_RAW
	case o.Proto == unix.IPPROTO_TCP:
		return unix.SOCK_STREAM
	}
	return unix.SOCK_DGRAM
}

// protocol is that of the socket; one of AF_PACKET need not hear of any.
func (o order) protocol() int {
	if o.How == framed {
		return 0
	}
	return int(o.Proto)
}
