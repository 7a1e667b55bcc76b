// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
)

func (r *report) print(w io.Writer) {
	r.printArms(w)
	r.printPrograms(w)
	r.printApplies(w)
	r.printRows(w)
}

// printArms is a line for each measurement and a column for each arm.
func (r *report) printArms(w io.Writer) {
	for _, b := range r.Alone {
		op := b.Arms[0].Op
		fmt.Fprintf(w, "bare host before there is a hook anywhere on the machine, %s: %s%s; two such hosts differ by %s\n",
			b.Job, duration(op.Median), op.plusMinus(), b.state())
	}
	fmt.Fprintln(w, "\nWhat every arm adds to the bare host, median and half the quartile range; bulk: its throughput, of bare")
	g := &grid{words: 2}
	for i, b := range r.Blocks {
		title, line := []string{"policy", "what"}, []string{policyName(b.Form, b.Rules), b.Job}
		for k, f := range b.Arms {
			title, line = append(title, f.Arm), append(line, f.cell(b.Job, k == 0))
		}
		if i == 0 {
			g.add(append(title, "bare hosts differ by")...)
		}
		g.add(append(line, b.state())...)
	}
	g.print(w)
	for _, reason := range r.reasons() {
		fmt.Fprintln(w, "-", reason)
	}
}

// reasons are why arms stand aside.
func (r *report) reasons() (list []string) {
	for _, b := range r.Blocks {
		for _, f := range b.Arms {
			if reason := f.Arm + ": " + f.Missing; f.Missing != "" && !slices.Contains(list, reason) {
				list = append(list, reason)
			}
		}
	}
	return list
}

// cell is an arm's figures; of the first bare host what an op takes.
func (f *armFigs) cell(job string, first bool) string {
	switch {
	case f.Missing != "":
		return "-"
	case job == bulk && first:
		return fmt.Sprintf("%.2f GB/s", 1/f.Op.Median)
	case job == bulk:
		return fmt.Sprintf("%.3f ±%.3f", f.Ratio.Median, (f.Ratio.High-f.Ratio.Low)/2)
	case first:
		return duration(f.Op.Median)
	}
	return signed(f.Added.Median) + f.Added.plusMinus()
}

func (b *block) state() string {
	text := fmt.Sprintf("%.2f %%", 100*b.Noise)
	if b.Void != "" {
		text = fmt.Sprintf("VOID after %s: %s", count(b.Turns, "turn"), b.Void)
	}
	return text
}

func (r *report) printPrograms(w io.Writer) {
	fmt.Fprintln(w, "\nWaymark's packet programs by BPF_PROG_TEST_RUN, over an empty program")
	g := &grid{words: 3}
	for _, p := range r.Programs {
		g.add(p.Policy, p.Program, p.Packet, duration(p.Added.Median)+p.Added.plusMinus())
	}
	g.print(w)
	fmt.Fprintf(w, "\nThe kernel's route lookup with a class's mark; one taken twice differs by %.2f %%\n", 100*r.Lookups.Noise)
	g = &grid{words: 2}
	for _, l := range r.Lookups.Lookups {
		classes := "1 class"
		if l.Classes > 1 {
			classes = grouped(l.Classes) + " classes"
		}
		g.add(classes, l.Class, duration(l.NS.Median)+l.NS.plusMinus())
	}
	g.print(w)
}

func (r *report) printApplies(w io.Writer) {
	fmt.Fprintln(w, "\nHow long until a policy is in force")
	g := &grid{words: 1}
	for i, took := range r.SetUps {
		title, line := []string{"policy"}, []string{took.Policy}
		for _, s := range took.Arms[firstTool:] {
			title, line = append(title, s.Arm), append(line, s.cell())
		}
		if i == 0 {
			g.add(title...)
		}
		g.add(line...)
	}
	g.print(w)
	fmt.Fprintln(w, "\nWaymark's apply in a process of its own, and what the kernel then holds")
	g = &grid{words: 1}
	g.add("policy", "from nothing", "reading", "the rest", "one rule changed", "reading", "the rest", "memory")
	for i, a := range r.Applies {
		g.add(a.Policy, short(a.Fresh), short(a.FreshRead), short(a.FreshApply), short(a.Change), short(a.ChangeRead), short(a.ChangeApply),
			fmt.Sprintf("%.2f MiB", mebibytes(r.Memory[i].Bytes)))
	}
	g.print(w)
}

func (s *setUp) cell() string {
	if s.Missing != "" {
		return "-"
	}
	return fmt.Sprintf("%.3f s", s.Seconds)
}
