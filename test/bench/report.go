// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// report is all that was measured; its JSON is what -json writes.
type report struct {
	Environment environment       `json:"environment"`
	Rows        []row             `json:"rows"`
	Alone       []block           `json:"alone"` // the bare hosts, before any hook was on the machine
	Blocks      []block           `json:"blocks"`
	Programs    []programRun      `json:"programs"`
	Lookups     lookupTimes       `json:"lookups"`
	Telemetry   []telemetryBlock  `json:"telemetry"`
	Applies     []applyTimes      `json:"applies"`
	SetUps      []setUps          `json:"setUps"`
	Memory      []holding         `json:"memory"`
	Classes     []manyClassesHeld `json:"classes"`
}

// setUps are what the arms took to put a policy in force.
type setUps struct {
	Policy string  `json:"policy"`
	Form   form    `json:"form"`
	Rules  int     `json:"rules"`
	Arms   []setUp `json:"arms"`
}

type setUp struct {
	Arm     string  `json:"arm"`
	Seconds float64 `json:"seconds"`
	Missing string  `json:"missing,omitempty"` // why it could not
}

// block finds a measurement; nil if it was not made.
func (r *report) block(f form, rules int, job string) *block {
	for i := range r.Blocks {
		if b := &r.Blocks[i]; b.Form == f && b.Rules == rules && b.Job == job {
			return b
		}
	}
	return nil
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
