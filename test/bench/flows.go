// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// flows is the job of new flows: socket, connect, first datagram, close. An
// op is one flow.
const flows = "flows"

// perStep is how many flows or connections are opened between two looks at the clock.
const perStep = 4

type flowOpener struct {
	turn    turn
	payload [payloadSize]byte
}

// turn goes round a list of destinations.
type turn struct {
	to   []unix.Sockaddr
	next int
}

func newTurn(to []netip.AddrPort) (t turn) {
	for _, a := range to {
		t.to = append(t.to, sockaddr(a))
	}
	return t
}

func (t *turn) take() unix.Sockaddr {
	t.next++
	return t.to[t.next%len(t.to)]
}

func (f *flowOpener) begin(to targets) error {
	f.turn = newTurn(to.UDP)
	return nil
}

func (f *flowOpener) step() (int, error) {
	for range perStep {
		if err := f.open(f.turn.take()); err != nil {
			return 0, err
		}
	}
	return perStep, nil
}

func (f *flowOpener) open(to unix.Sockaddr) error {
	fd, err := socket(unix.SOCK_DGRAM)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, to); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if _, err := unix.Write(fd, f.payload[:]); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (f *flowOpener) end() {}
