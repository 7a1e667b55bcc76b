// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"bytes"
	"compress/gzip"
	"reflect"
	"testing"
	"time"

	"waymark/classes"
	"waymark/internal/plan"
)

const fuzzPolicy = "uplinks: [{name: a, interface: up-a}]\nclasses: [{name: x, route: [a], match: [{cgroup: x.slice}]}]\n"

// FuzzReadSavedPlan reads plans that somebody may have edited: what is taken
// is written again as the same, and its policy is a policy or an error.
func FuzzReadSavedPlan(f *testing.F) {
	s := SavedPlan{Made: time.Unix(1e9, 0).UTC(), Netns: 4026531840, Object: "0123456789abcdef", CgroupRoot: "/sys/fs/cgroup",
		Files: []classes.File{{Name: "policy.yaml", Text: fuzzPolicy}}, Text: "## a plan\n", Digest: "00"}
	text, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"apiVersion": "waymark/v2", "kind": "SavedPlan"}`))
	f.Add([]byte(`{"apiVersion": "waymark/v1", "kind": "SavedPlan", "item": null}`))
	f.Add([]byte(fuzzPolicy))
	f.Fuzz(func(t *testing.T, text []byte) {
		saved, err := ReadSavedPlan(text)
		if err != nil {
			return
		}
		written, err := saved.Encode()
		if err != nil {
			t.Skip("a time that JSON cannot hold")
		}
		again, err := ReadSavedPlan(written)
		if err != nil {
			t.Fatalf("it does not read what it wrote: %v: %s", err, written)
		}
		if lines := saved.differs(again); lines != nil {
			t.Errorf("written and read again it differs: %q", lines)
		}
		policy, err := classes.ParseFiles(saved.Files...)
		if (policy == nil) == (err == nil) {
			t.Errorf("policy %v and error %v", policy, err)
		}
	})
}

// FuzzDecodeState reads states that are damaged: each is an error, or a state
// that is written as it was read.
func FuzzDecodeState(f *testing.F) {
	s := State{Format: stateFormat, Object: "0123456789abcdef", Sysctls: map[string]string{"net.ipv4.conf.lo.forwarding": "0"}, CgroupRoot: "/sys/fs/cgroup",
		Applied: time.Unix(1e9, 0).UTC(), text: textOf([]classes.File{{Name: "policy.yaml", Text: fuzzPolicy}}), Hooks: []plan.Hook{{Program: "egress", Pin: "egress-1"}},
		Number: 2, Trial: &Trial{Until: time.Hour}, Unfinished: applying, Overrides: []Override{{Until: time.Minute}}}
	raw, err := s.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, false)
	f.Add([]byte(`{"format": 2, "trial": {"until": -1}, "overrides": [{"until": 1}]}`), true)
	f.Add([]byte(`{"format": 3}`), true)
	f.Add([]byte(`[]`), true)
	f.Fuzz(func(t *testing.T, raw []byte, packs bool) {
		if packs {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(raw)
			z.Close()
			raw = b.Bytes()
		}
		state, err := decodeState(raw)
		if err != nil {
			return
		}
		_, _ = state.Policy()
		state.deadline()
		state.complete([]plan.Hook{{Pin: "egress-1"}})
		written, err := state.encode()
		if err != nil {
			t.Skip("a time that JSON cannot hold")
		}
		again, err := decodeState(written)
		if err != nil {
			t.Fatalf("it does not read what it wrote: %v", err)
		}
		if rewritten, err := again.encode(); err != nil || !reflect.DeepEqual(written, rewritten) {
			t.Errorf("written and read again it is another: %+v, %+v, %v", state, again, err)
		}
	})
}
