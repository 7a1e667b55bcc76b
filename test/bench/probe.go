// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// probe runs a packet program by BPF_PROG_TEST_RUN on a laboratory's host.
type probe struct {
	lab           *lab.Lab
	base, program *ebpf.Program
	mark          uint32 // of the packet
}

// time is the nanoseconds that the program takes more than the base.
func (p *probe) time(repeat int) (added float64, err error) {
	err = p.lab.Host.Do(func() error {
		return onCPU(senderCPU, func() (err error) {
			var ns [4]float64
			for i, program := range []*ebpf.Program{p.base, p.program, p.program, p.base} {
				if ns[i], err = p.run(program, repeat); err != nil {
					return err
				}
			}
			added = mean(ns[1], ns[2]) - mean(ns[0], ns[3])
			return nil
		})
	})
	return added, err
}

// skbMark is the beginning of struct __sk_buff, up to the mark.
type skbMark struct{ Len, PacketType, Mark uint32 }

func (p *probe) run(program *ebpf.Program, repeat int) (ns float64, err error) {
	start := time.Now()
	_, err = program.Run(&ebpf.RunOptions{Data: frame, Context: skbMark{Mark: p.mark}, Repeat: uint32(repeat)})
	return float64(time.Since(start)) / float64(repeat), err
}

func (p *probe) close() {
	p.base.Close()
	p.program.Close()
}

// frame is a datagram of the bench, with its Ethernet header.
var frame = func() []byte {
	f := make([]byte, 14+20+8+payloadSize)
	f[12] = 0x08 // IPv4
	ip := f[14:]
	ip[0], ip[3], ip[8], ip[9] = 0x45, byte(len(ip)), 64, unix.IPPROTO_UDP
	copy(ip[12:], []byte{10, 0, 1, 2})
	copy(ip[16:], address(1<<17-1).AsSlice())
	copy(ip[20:], []byte{0x80, 0, 0x1f, 0x40, 0, 8 + payloadSize})
	return f
}()

// onCPU keeps the calling thread, which is locked, on one CPU for a while.
func onCPU(cpu int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	return errors.Join(f(), unix.SchedSetaffinity(0, &before))
}
