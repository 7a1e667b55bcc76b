// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A report is what the tests on one kernel came to.
type report struct {
	kernel  kernel
	works   map[string]bool            // mechanisms that were tried
	refusal string                     // what apply says on a kernel that cannot carry Waymark
	passed  map[string]map[string]bool // tests that passed, by name, each with the mechanisms that parts of it want and the kernel lacks
	sound   map[string]bool            // tests that ended, none of their parts failed or skipped for no reason, by name
	failed  bool
	outputs map[string]string // of tests that have not ended, by package and name
}

func newReport(k kernel) *report {
	return &report{kernel: k, works: map[string]bool{}, passed: map[string]map[string]bool{}, sound: map[string]bool{}, outputs: map[string]string{}}
}

// An event is a line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// run runs tests of packages on a kernel with what `go test -exec` is to run.
func (r *report) run(boot, tests string, packages ...string) error {
	args := append([]string{"test", "-json", "-count=1", "-p=1", "-vet=off", "-short", "-timeout", testLimit.String(), "-run", tests, "-exec", boot}, packages...)
	c := command("go", args...)
	c.Stdout = nil
	events, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	if err := r.read(events); err != nil {
		return errors.Join(err, c.Wait())
	}
	if c.Wait() != nil {
		r.failed = true
	}
	return nil
}

// read takes in events to their end, and prints a line for each package.
func (r *report) read(events io.Reader) error {
	counts := map[string]int{}
	for d := json.NewDecoder(events); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what go test says: %w", err)
		}
		if e.Test == "" {
			r.ofPackage(e, counts)
			continue
		}
		r.ofTest(e, counts)
	}
}

// ofPackage prints what became of a package.
func (r *report) ofPackage(e event, counts map[string]int) {
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		r.remember(e)
	case "fail":
		r.failed = true
		fmt.Print(r.outputs[e.Package+"."])
		fallthrough
	case "pass", "skip":
		fmt.Printf("%-7s %-28s %-5s %6.1fs  %3d passed, %d skipped, %d failed\n", r.kernel.series, e.Package, e.Action, e.Elapsed, counts["pass"], counts["skip"], counts["fail"])
		clear(counts)
	}
}

// ofTest counts a test, prints what a failed one said, and notes down what
// the kernel can do.
func (r *report) ofTest(e event, counts map[string]int) {
	key := e.Package + "." + e.Test
	switch e.Action {
	case "output":
		r.remember(e)
		return
	case "fail":
		r.failed = true
		fmt.Print(r.outputs[key])
	case "skip", "pass":
	default:
		return
	}
	if m, ok := mechanismOf(e.Test); ok {
		r.ofMechanism(m, e, r.outputs[key])
	} else {
		r.ofRow(e, r.outputs[key])
	}
	counts[e.Action]++
	delete(r.outputs, key)
}

func (r *report) ofMechanism(m string, e event, output string) {
	r.works[m] = e.Action == "pass"
	if _, refusal, ok := strings.Cut(output, "waymark: "); ok && m == applies {
		r.refusal, _, _ = strings.Cut(refusal, "\n")
	}
}

// ofRow notes down what passed. A part may be skipped only for want of what
// this kernel was seen not to do.
func (r *report) ofRow(e event, output string) {
	name, _, _ := strings.Cut(e.Test, "/")
	if r.passed[name] == nil {
		r.passed[name] = map[string]bool{}
	}
	if e.Test == name {
		fmt.Printf("%-7s %-50s %-5s %6.1fs\n", r.kernel.series, name, e.Action, e.Elapsed)
		_, unsound := r.sound[name]
		r.sound[name] = !unsound && e.Action != "fail"
	}
	if e.Action != "skip" {
		return
	}
	for _, m := range mechanisms {
		if strings.Contains(output, lacks+m) && !r.works[m] {
			r.passed[name][m] = true
			return
		}
	}
	r.failed, r.sound[name] = true, false
	fmt.Printf("%-7s %s: skipped, for no reason that this kernel gives:\n%s", r.kernel.series, e.Test, output)
}

func (r *report) remember(e event) {
	r.outputs[e.Package+"."+e.Test] += e.Output
}
