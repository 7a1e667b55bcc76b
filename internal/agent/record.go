// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"waymark/internal/probe"
)

// Record is what an agent says of itself, for `status`.
type Record struct {
	PID      int               `json:"pid"`
	Since    time.Time         `json:"since"`
	Heals    map[string]uint64 `json:"heals"`             // what was put back, by kind, by agents before it too
	Last     []Heal            `json:"last"`              // the latest of those, newest last
	Problems []string          `json:"problems"`          // what is wrong now, in sentences
	Probes   []probe.State     `json:"probes"`            // of the uplinks that are probed
	Counts   []probe.Count     `json:"counts,omitempty"`  // of all targets that were, by agents before it too
	Cgroups  string            `json:"cgroups,omitempty"` // what tells of cgroups that are made: "inotify"; "": nothing has to
}

// Heal is one thing that was put back.
type Heal struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"` // "rule", "route", "nat", "sysctl", "hook", "pin" or "map"
	Object string    `json:"object"`
	By     string    `json:"by,omitempty"` // who had changed it, where that is known
}

// lastHeals is how many are remembered.
const lastHeals = 10

// newRecord goes on with what the agent before counted, if there was one.
func newRecord(before *Record) *Record {
	r := &Record{PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second),
		Heals: map[string]uint64{}, Last: []Heal{}, Problems: []string{}}
	if before != nil {
		maps.Copy(r.Heals, before.Heals)
		r.Last, r.Counts = append(r.Last, before.Last...), before.Counts
	}
	return r
}

func (r *Record) add(o Object, by string) {
	r.Heals[o.Kind]++
	r.Last = append(r.Last, Heal{time.Now().UTC().Truncate(time.Second), o.Kind, o.Text, by})
	r.Last = r.Last[max(0, len(r.Last)-lastHeals):]
}

// Text is one line: "put back 3 times: hook 1, rule 2".
func (r *Record) Text() string {
	total := uint64(0)
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(r.Heals)) {
		total += r.Heals[kind]
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, r.Heals[kind]))
	}
	if total == 0 {
		return "nothing had to be put back"
	}
	return fmt.Sprintf("put back %d: %s", total, strings.Join(kinds, ", "))
}
