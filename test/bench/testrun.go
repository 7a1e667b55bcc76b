// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// programRun is what one packet program took of one kind of packet in
// BPF_PROG_TEST_RUN, over an empty program.
type programRun struct {
	Policy  string   `json:"policy"`
	Rules   int      `json:"rules"`
	Form    form     `json:"form"`
	Program string   `json:"program"` // its pin
	Packet  string   `json:"packet"`  // its mark
	Added   spreadOf `json:"added"`   // nanoseconds
}

// runPrograms runs every packet program of an instance. A mark that a program
// sets stays on the packet for the next run, so the packet to be searched
// for is in no rule.
func runPrograms(o options, i *instance, p policy, mark uint32) (runs []programRun, err error) {
	dir, err := i.pins()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		program, err := packetProgram(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if program == nil {
			continue
		}
		for _, packet := range []packet{{"with the class's mark", mark}, {"in no rule", 0}} {
			run := programRun{Policy: p.String(), Rules: len(p.rules), Form: p.form, Program: e.Name(), Packet: packet.name}
			if run.Added, err = timeProgram(i, o, program, packet.mark); err != nil {
				break
			}
			runs = append(runs, run)
		}
		program.Close()
		if err != nil {
			return nil, fmt.Errorf("run program %s: %w", e.Name(), err)
		}
	}
	return runs, nil
}

type packet struct {
	name string
	mark uint32
}

func timeProgram(i *instance, o options, program *ebpf.Program, mark uint32) (spreadOf, error) {
	base, err := loadProgram("base", empty)
	if err != nil {
		return spreadOf{}, err
	}
	defer base.Close()
	p := &probe{lab: i.lab, base: base, program: program, mark: mark}
	added := make([]float64, o.rounds)
	for k := range added {
		if added[k], err = p.time(o.repeat); err != nil {
			return spreadOf{}, err
		}
	}
	return summary(added), nil
}

// packetProgram opens the program of a pinned link; nil if it is none that
// sees packets at tc.
func packetProgram(pin string) (*ebpf.Program, error) {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return nil, nil // a map
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil || info.TCX() == nil {
		return nil, err
	}
	return ebpf.NewProgramFromID(info.Program)
}
