// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// eye sees packets to one address as they go to a driver, by whatever
// interface: after every program and filter.
type eye struct {
	fd int
}

// sight is one packet.
type sight struct {
	Index        int // of the interface
	Proto        uint8
	Sport, Dport uint16
}

// openEye opens an eye in the calling thread's network namespace.
func openEye(to netip.Addr) (*eye, error) {
	// Of no protocol yet, lest it hears others before it has its filter.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("watch for packets: %w", err)
	}
	filter := filterOf(to)
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all}))
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch for packets: %w", err)
	}
	return &eye{fd}, nil
}

// Places of what the kernel adds to a packet, for a filter.
const (
	auxiliary  = 0xfffff000 // SKF_AD_OFF
	network    = 0xfff00000 // SKF_NET_OFF
	etherType  = auxiliary + 0
	packetType = auxiliary + 4
	outgoing   = 4 // PACKET_OUTGOING
)

// filterOf lets packets to an address pass that go out.
func filterOf(to netip.Addr) []unix.SockFilter {
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	want := []struct{ at, value uint32 }{{packetType, outgoing}, {etherType, unix.ETH_P_IP}}
	at, words := uint32(network+16), to.AsSlice()
	if to.Is6() {
		want[1].value, at = unix.ETH_P_IPV6, network+24
	}
	for k := 0; k < len(words); k += 4 {
		want = append(want, struct{ at, value uint32 }{at + uint32(k), binary.BigEndian.Uint32(words[k:])})
	}
	var code []unix.SockFilter
	for n, w := range want {
		past := uint8(2*(len(want)-n-1) + 1) // to the last instruction, which drops
		code = append(code, unix.SockFilter{Code: load, K: w.at}, unix.SockFilter{Code: equal, K: w.value, Jf: past})
	}
	return append(code, unix.SockFilter{Code: answer, K: 128}, unix.SockFilter{Code: answer})
}

// sights are the packets since the last call. It waits until one is wanted, or
// for as long as is given.
func (e *eye) sights(wait time.Duration, wanted func(sight) bool) (all []sight, err error) {
	for end := time.Now().Add(wait); ; {
		seen, found, err := e.receive(wanted)
		all = append(all, seen...)
		left := time.Until(end)
		if err != nil || found || left <= 0 {
			return all, err
		}
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}, int(left/time.Millisecond)+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return all, fmt.Errorf("watch for packets: %w", err)
		}
	}
}

// receive takes what is there.
func (e *eye) receive(wanted func(sight) bool) (all []sight, found bool, err error) {
	var data [128]byte
	for {
		n, from, err := unix.Recvfrom(e.fd, data[:], 0)
		link, ok := from.(*unix.SockaddrLinklayer)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return all, found, nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
		case err != nil:
			return all, found, fmt.Errorf("watch for packets: %w", err)
		case ok:
			s := read(data[:n])
			s.Index = link.Ifindex
			all, found = append(all, s), found || wanted(s)
		}
	}
}

// read reads a packet from its IP header on.
func read(b []byte) (s sight) {
	at := 40
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		at, s.Proto = int(b[0]&15)*4, b[9]
	case len(b) >= 40:
		s.Proto = b[6]
	}
	if len(b) >= at+4 {
		s.Sport, s.Dport = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
	}
	return s
}

func (e *eye) close() { unix.Close(e.fd) }
