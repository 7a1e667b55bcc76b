// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Capture holds the packets that an interface receives, in order, before tc
// and the firewall see them. It outlives the link's going down and up.
type Capture struct {
	name string
	mu   sync.Mutex
	fd   int // -1 once closed
}

const (
	captureBuffer = 64 << 20 // bytes, of which a small packet takes about 800
	captureLength = 256      // bytes kept of each packet: all headers
)

// Capture starts to capture what an interface of the node receives. It ends
// with the lab, or by its Close.
func (n *Node) Capture(iface string) (*Capture, error) {
	c := &Capture{name: iface + " of " + n.Name, fd: -1}
	link, err := n.link(iface)
	if err != nil {
		return nil, err
	}
	// The socket has no protocol until it is bound, lest it hear other links.
	err = n.Do(func() (err error) {
		c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err == nil {
		err = c.listen(link.Attrs().Index)
	}
	if err == nil {
		err = n.lab.own(c)
	}
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", c.name, errors.Join(err, c.Close()))
	}
	return c, nil
}

func (c *Capture) listen(index int) error {
	return errors.Join(
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(c.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: swap16(unix.ETH_P_ALL), Ifindex: index}))
}

// Packets returns what arrived since the last call. It does not wait; a packet
// that was sent a moment ago may still be on its way. That the kernel had to
// drop packets for want of room is an error.
func (c *Capture) Packets() ([]Packet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var packets []Packet
	for {
		p, err := c.receive()
		if errors.Is(err, unix.EAGAIN) {
			return packets, c.checkDrops()
		}
		if err != nil {
			return packets, fmt.Errorf("capture on %s: receive: %w", c.name, err)
		}
		packets = append(packets, p)
	}
}

// Wait collects packets until n of them satisfy match (nil: any), and returns
// all that arrived since the last call. That fewer came within the timeout is
// an error.
func (c *Capture) Wait(n int, timeout time.Duration, match func(Packet) bool) ([]Packet, error) {
	deadline := time.Now().Add(timeout)
	var all []Packet
	for found := 0; ; time.Sleep(time.Millisecond) {
		packets, err := c.Packets()
		all = append(all, packets...)
		if err != nil {
			return all, err
		}
		for _, p := range packets {
			if match == nil || match(p) {
				found++
			}
		}
		if found >= n {
			return all, nil
		}
		if time.Now().After(deadline) {
			return all, fmt.Errorf("capture on %s: %d of %d packets came within %s", c.name, found, n, timeout)
		}
	}
}

func (c *Capture) receive() (Packet, error) {
	var data [captureLength]byte
	var control [64]byte
	for {
		// MSG_TRUNC makes the result the packet's length, not that of the part kept.
		n, size, _, from, err := unix.Recvmsg(c.fd, data[:], control[:], unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENETDOWN) {
			continue // the link went down; the capture goes on when it is up again
		}
		if err != nil {
			return Packet{}, err
		}
		p := parsePacket(swap16(from.(*unix.SockaddrLinklayer).Protocol), data[:min(n, len(data))])
		p.Len, p.Time = n, timestamp(control[:size])
		return p, nil
	}
}

func timestamp(control []byte) time.Time {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		if m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(ts.Unix())
		}
	}
	return time.Time{}
}

// checkDrops asks for the drops since it last asked; the kernel then forgets them.
func (c *Capture) checkDrops() error {
	stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("capture on %s: read drops: %w", c.name, err)
	}
	if stats.Drops > 0 {
		return fmt.Errorf("capture on %s: kernel dropped %d of %d packets: call Packets more often", c.name, stats.Drops, stats.Packets)
	}
	return nil
}

// Close ends the capture. It may be called again.
func (c *Capture) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return nil
	}
	err := unix.Close(c.fd)
	c.fd = -1
	return err
}

// swap16 converts between host and network order.
func swap16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
