// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Delay carries packets through a router in place of its kernel, and holds
// each of them back for a time. What is for the router itself stays its kernel's.
type Delay struct {
	router *Node
	each   time.Duration
	lose   func(packet []byte) bool
	local  map[netip.Addr]bool // the router's addresses
	ends   []*delayEnd
	done   sync.WaitGroup
	once   sync.Once
}

// A delayEnd is one interface of the router.
type delayEnd struct {
	file      *os.File
	mac, peer net.HardwareAddr // its own, and what is at the other end of its link
}

// heldFrame is a frame on its way, behind the header in which the kernel says what
// of it is left to be done.
type heldFrame struct {
	due   time.Time
	frame []byte
}

const (
	vnetHeader     = 10 // struct virtio_net_hdr
	ethernetHeader = 14
	longestFrame   = vnetHeader + ethernetHeader + 1<<16
	mostHeld       = 1 << 16 // frames in each direction; what comes while so many wait is lost
)

// Delay has router i hold packets back for a time in each direction. lose, if
// it is not nil, is asked of each that goes to the far server, from its IP header
// on, whether it is to be lost. It ends with the lab, or by its Close; then the
// router's kernel carries packets again.
func (l *Lab) Delay(i int, each time.Duration, lose func(packet []byte) bool) (*Delay, error) {
	d := &Delay{router: l.Routers[i], each: each, lose: lose, local: map[netip.Addr]bool{}}
	err := d.open("down")
	if err == nil {
		err = d.open("up")
	}
	if err == nil {
		err = d.router.writeSysctls([]sysctl{{"net.ipv4.ip_forward", "0"}, {"net.ipv6.conf.all.forwarding", "0"}})
	}
	if err == nil {
		d.carry(0, 1)
		d.carry(1, 0)
		err = l.own(d)
	}
	if err != nil {
		return nil, fmt.Errorf("delay %s: %w", d.router.Name, errors.Join(err, d.Close()))
	}
	return d, nil
}

func (d *Delay) open(iface string) error {
	link, err := d.router.link(iface)
	if err != nil {
		return err
	}
	port := d.router.ports[iface]
	for _, a := range port.addresses {
		d.local[a.Addr()] = true
	}
	return d.router.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		d.ends = append(d.ends, &delayEnd{os.NewFile(uintptr(fd), iface), link.Attrs().HardwareAddr, port.neighbour})
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap16(unix.ETH_P_ALL), Ifindex: link.Attrs().Index}))
	})
}

// carry carries what comes in at one end to the other, until they are closed.
func (d *Delay) carry(from, to int) {
	waiting := make(chan heldFrame, mostHeld)
	d.done.Go(func() {
		defer close(waiting)
		buffer := make([]byte, longestFrame)
		for {
			n, err := d.ends[from].file.Read(buffer)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil || !d.passes(buffer[:n], d.ends[from].mac) {
				continue
			}
			if from == 0 && d.lose != nil && d.lose(buffer[vnetHeader+ethernetHeader:n]) {
				continue
			}
			select {
			case waiting <- heldFrame{time.Now().Add(d.each), bytes.Clone(buffer[:n])}:
			default:
			}
		}
	})
	d.done.Go(func() {
		out := d.ends[to]
		for h := range waiting {
			time.Sleep(time.Until(h.due))
			copy(h.frame[vnetHeader:], out.peer)
			copy(h.frame[vnetHeader+6:], out.mac)
			_, _ = out.file.Write(h.frame)
		}
	})
}

// passes tells whether a frame is for the router to forward.
func (d *Delay) passes(frame []byte, mac net.HardwareAddr) bool {
	if len(frame) < vnetHeader+ethernetHeader+20 || !bytes.Equal(frame[vnetHeader:][:6], mac) {
		return false
	}
	packet := frame[vnetHeader+ethernetHeader:]
	switch binary.BigEndian.Uint16(frame[vnetHeader+12:]) {
	case unix.ETH_P_IP:
		return !d.local[netip.AddrFrom4([4]byte(packet[16:]))]
	case unix.ETH_P_IPV6:
		return len(packet) >= 40 && !d.local[netip.AddrFrom16([16]byte(packet[24:]))]
	}
	return false
}

// Close ends the delay; what is held is lost. It may be called again.
func (d *Delay) Close() (err error) {
	d.once.Do(func() {
		for _, e := range d.ends {
			err = errors.Join(err, e.file.Close())
		}
		d.done.Wait()
		err = errors.Join(err, d.router.writeSysctls(forwardSysctls))
	})
	return err
}
