// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"waymark/bpf"
)

// seen is what is kept of the runs on one kernel, so that its rows may be run
// in parts. It lies in the folder of the kernel's package.
type seen struct {
	Programs string              `json:"programs"` // bpf.ObjectID: what others did is not told of these
	Works    map[string]bool     `json:"works"`
	Refusal  string              `json:"refusal"`
	Passed   map[string][]string `json:"passed"` // report.passed
}

func (k kernel) seenFile() string { return filepath.Join(k.folder, "seen.json") }

// recall is the report of earlier runs on a kernel; ok is false if there were
// none with these programs.
func recall(k kernel) (r *report, ok bool, err error) {
	r = newReport(k)
	text, err := os.ReadFile(k.seenFile())
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	var s seen
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read what was seen on %s: %w", k.series, err)
	}
	if s.Programs != bpf.ObjectID() {
		return r, false, nil
	}
	r.works, r.refusal = s.Works, s.Refusal
	for test, lacking := range s.Passed {
		r.passed[test], r.sound[test] = map[string]bool{}, true
		for _, m := range lacking {
			r.passed[test][m] = true
		}
	}
	return r, true, nil
}

// keep writes what the report says for later runs, without what failed.
func (r *report) keep() error {
	s := seen{Programs: bpf.ObjectID(), Works: r.works, Refusal: r.refusal, Passed: map[string][]string{}}
	for test, lacking := range r.passed {
		if r.sound[test] {
			s.Passed[test] = slices.Sorted(maps.Keys(lacking))
		}
	}
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(r.kernel.seenFile(), append(text, '\n'), 0o644)
}
