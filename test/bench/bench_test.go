// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/host"
	"waymark/internal/lab"
)

func TestMain(m *testing.M) {
	if roleMain() {
		return
	}
	os.Exit(m.Run())
}

// tiny are options for a bench that only shows that everything works.
func tiny(t *testing.T) options {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: the bench makes network namespaces and cgroups")
	}
	o := options{rules: []int{1, 100}, forms: []form{byTuple, byCgroup}, rounds: 1, sample: 100 * time.Microsecond, most: 1, applies: 1, repeat: 100}
	o.progress = func(string, ...any) {}
	return o
}

func TestBench(t *testing.T) {
	o := tiny(t)
	watch(t)
	r := &report{Environment: readEnvironment(true)}
	if err := measureAll(t.Context(), o, r); err != nil {
		t.Fatal(err)
	}
	jobs := 0
	for _, b := range r.Blocks {
		jobs++
		for _, f := range b.Arms {
			if f.Missing == "" && (f.Op.Median <= 0 || len(f.Turns) != o.rounds) {
				t.Errorf("%s, %d rules: %s: %s has no figures: %+v", b.Form, b.Rules, b.Job, f.Arm, f)
			}
			if f.Missing != "" && (f.Arm != armIptables || b.Form == byCgroup) && installed(f.Arm) {
				t.Errorf("%s, %d rules: %s stands aside: %s", b.Form, b.Rules, f.Arm, f.Missing)
			}
		}
	}
	if want := 4*6 - 3; jobs != want {
		t.Errorf("%d measurements, want %d: six jobs for each policy, and no TCP for one 5-tuple", jobs, want)
	}
	programs := map[string]bool{}
	for _, p := range r.Programs {
		programs[strings.TrimRight(p.Program, "-0123456789")] = true
	}
	if diff := cmp.Diff(map[string]bool{"egress": true, "enters": true, "ingress": true}, programs); diff != "" {
		t.Errorf("packet programs that were run (-want +got):\n%s", diff)
	}
	if r.Memory[0].Bytes == 0 || r.Memory[3].Parts["tables inside"] == 0 {
		t.Errorf("an instance holds no memory: %+v", r.Memory)
	}
	r.Rows = rows(r, o)
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	var read report
	if text, err := os.ReadFile(file); err != nil || json.Unmarshal(text, &read) != nil || len(read.Rows) != len(r.Rows) {
		t.Errorf("the JSON has %d rows, want %d: %v", len(read.Rows), len(r.Rows), err)
	}
}

// installed tells whether this machine has the tool of an arm.
func installed(arm string) bool {
	tool, _, _ := strings.Cut(arm, " ")
	_, err := exec.LookPath(tool)
	return err == nil
}

// TestInterrupt stops the bench at each kind of work.
func TestInterrupt(t *testing.T) {
	for _, when := range []string{"set up", "apply, memory, programs", bulk} {
		t.Run(when, func(t *testing.T) {
			o := tiny(t)
			watch(t)
			o.forms, o.rules = []form{byCgroup}, []int{20}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			o.progress = func(format string, args ...any) {
				if strings.Contains(format, when) || len(args) > 1 && args[1] == when {
					stop()
				}
			}
			if err := measureAll(ctx, o, &report{}); err == nil || ctx.Err() == nil {
				t.Errorf("a bench that was stopped ends with %v", err)
			}
		})
	}
}

// watch looks, when the test ends, for what is left.
func watch(t *testing.T) {
	t.Helper()
	before := leftovers(t)
	t.Cleanup(func() {
		if diff := cmp.Diff(before, leftovers(t)); diff != "" {
			t.Errorf("the bench left something (-before +after):\n%s", diff)
		}
	})
}

// leftovers are what laboratories of this process hold, and files of the bench.
func leftovers(t *testing.T) []string {
	t.Helper()
	held, err := lab.Held()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "waymark-bench-*"))
	if err != nil {
		t.Fatal(err)
	}
	return append(held, files...)
}

// TestPinsGo checks that an instance's pins are gone after it is closed.
func TestPinsGo(t *testing.T) {
	tiny(t)
	watch(t)
	l, err := lab.New(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	i, err := newInstance(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.apply(t.Context(), newPolicy(byTuple, 3).yaml(uplinksOf(l))); err != nil {
		t.Error(err)
	}
	pins, err := i.pins()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pins); err != nil {
		t.Error(err)
	}
	if err := i.close(); err != nil {
		t.Error(err)
	}
	bpffs, _, _ := host.Bpffs()
	if left, _ := filepath.Glob(pins + "*"); len(left) != 0 {
		t.Errorf("pins are left in %s: %v", bpffs, left)
	}
}
