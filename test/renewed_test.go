// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/internal/lab"
	"waymark/loader"
)

// TestRenewedMeter has one meter read through a change of the policy, which its
// programs are good for, and through one that needs room, and so another instance.
func TestRenewedMeter(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	policy := func(name string, others int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\nclasses:\n  - {name: %s, route: [b], existing: move, match: [{cgroup: app.slice}]}\n", twoUplinks, name)
		for n := range others {
			fmt.Fprintf(&b, "  - {name: other-%d, route: [a], match: [{uid: %d}]}\n", n, firstUser+n)
		}
		return "mark: {mask: 0xb73f0000}\n" + b.String()
	}
	s.apply(t, policy("one", 0))
	s.open(t, in("app.slice", v4.job(lab.TCP, 1)))
	s.load(t, func(l *loader.Loader) error {
		m := l.Meter()
		defer m.Close()
		var programs [3][]string
		for k := range programs {
			if k > 0 {
				s.apply(t, policy("two", []int{0, 1, 100}[k]))
			}
			sample, err := m.Read()
			if err != nil {
				return err
			}
			if c := sample.Classes[0]; c.Open != 1 {
				t.Errorf("after %d changes class %s has %d open flows, want 1", k, c.Name, c.Open)
			}
			programs[k] = heldPrograms(t, bpf.WaymarkProgCountTcp)
		}
		if len(programs[0]) != 1 || !slices.Equal(programs[1], programs[0]) || len(programs[2]) != 1 || slices.Equal(programs[2], programs[0]) {
			t.Errorf("the programs that count are %v: want one, the same after a change, and another of another instance", programs)
		}
		return nil
	})
}

// heldPrograms are the numbers of the programs of a name that this process holds.
func heldPrograms(t *testing.T, name string) (ids []string) {
	t.Helper()
	number := regexp.MustCompile(`(?m)^prog_id:\t(\d+)$`)
	for _, fd := range must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fdinfo")) {
		text, _ := os.ReadFile("/proc/self/fdinfo/" + fd.Name()) // which may be closed by now
		found := number.FindSubmatch(text)
		if found == nil {
			continue
		}
		var id ebpf.ProgramID
		if _, err := fmt.Sscan(string(found[1]), &id); err != nil {
			t.Fatal(err)
		}
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue
		}
		if info, err := p.Info(); err == nil && info.Name == name {
			ids = append(ids, string(found[1]))
		}
		p.Close()
	}
	return ids
}
