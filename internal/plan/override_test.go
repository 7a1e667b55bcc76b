// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/classes"
)

const overridden = `
uplinks: [{name: fiber, interface: eth0}, {name: lte, interface: eth1}]
classes:
  - {name: first, route: [fiber], match: [{cgroup: first.slice}]}
  - {name: bulk, route: [lte], match: [{cgroup: bulk.slice}, {src: 192.0.2.7}]}
  - {name: rest, route: [fiber, lte], match: [{uid: 1-9}]}
`

func cgroupOverride(path, to string) Override {
	return Override{Subject: path, Match: classes.Match{Cgroup: []string{path}}, To: to, Source: "moved by root"}
}

// linesOf is a plan's lines, each as "class: text".
func linesOf(p *Plan) (lines []string) {
	for _, l := range p.Lines {
		name := classes.Unclassed
		if l.Class != NoClass {
			name = p.Classes[l.Class].Name
		}
		lines = append(lines, name+": "+l.Text.String())
	}
	return lines
}

// TestOverrides puts moves before the policy's lines: the policy's first,
// later ones before them; a class that is moved whole keeps its place.
func TestOverrides(t *testing.T) {
	const first, bulk, from, rest = "{cgroup: first.slice}", "{cgroup: bulk.slice}", "{src: 192.0.2.7}", "{uid: 1-9}"
	whole := Override{Subject: "class:bulk", From: "bulk", To: "rest"}
	for _, c := range []struct {
		name      string
		moves     string
		overrides []Override
		want      []string
	}{
		{"none", "", nil, []string{"first: " + first, "bulk: " + bulk, "bulk: " + from, "rest: " + rest}},
		{"a cgroup", "", []Override{cgroupOverride("x.slice", "bulk")},
			[]string{"bulk: move x.slice", "first: " + first, "bulk: " + bulk, "bulk: " + from, "rest: " + rest}},
		{"to none", "", []Override{cgroupOverride("bulk.slice", classes.Unclassed)},
			[]string{"unclassed: move bulk.slice", "first: " + first, "bulk: " + bulk, "bulk: " + from, "rest: " + rest}},
		{"a class", "", []Override{whole},
			[]string{"first: " + first, "rest: move class:bulk: " + bulk, "rest: move class:bulk: " + from, "rest: " + rest}},
		{"into a class that then moves", "", []Override{cgroupOverride("x.slice", "bulk"), whole},
			[]string{"rest: move class:bulk: move x.slice", "first: " + first, "rest: move class:bulk: " + bulk, "rest: move class:bulk: " + from, "rest: " + rest}},
		{"into a class that has moved", "", []Override{whole, cgroupOverride("x.slice", "bulk")},
			[]string{"bulk: move x.slice", "first: " + first, "rest: move class:bulk: " + bulk, "rest: move class:bulk: " + from, "rest: " + rest}},
		{"the policy's own, and a later one", "moves: [{uid: 7, to: first}]\n", []Override{cgroupOverride("x.slice", "bulk")},
			[]string{"bulk: move x.slice", "first: move uid:7", "first: " + first, "bulk: " + bulk, "bulk: " + from, "rest: " + rest}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Make(parse(t, overridden+c.moves), twoUplinks().Facts, Numbers{}, Options{Overrides: c.overrides})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, linesOf(p)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			counts := map[string]int{}
			for _, l := range c.want {
				class, _, _ := strings.Cut(l, ":")
				counts[class]++
			}
			for _, class := range p.Classes {
				if class.Matches != counts[class.Name] {
					t.Errorf("class %s counts %d lines, want %d", class.Name, class.Matches, counts[class.Name])
				}
			}
		})
	}
}

// TestOverridesMoveSourceRules has a class with a `src` alone: its rule goes
// by the class that it is moved to, or not at all.
func TestOverridesMoveSourceRules(t *testing.T) {
	tables := func(to string) (tables []uint32) {
		p, err := Make(parse(t, overridden), twoUplinks().Facts, Numbers{}, Options{Overrides: []Override{{Subject: "class:bulk", From: "bulk", To: to}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rules {
			if r.From == prefix("192.0.2.7/32") && !r.Suppress && r.Mask != 0 {
				tables = append(tables, r.Table)
			}
		}
		return tables
	}
	for to, want := range map[string]string{"bulk": "[7001]", "first": "[7000]", classes.Unclassed: "[]"} {
		if got := fmt.Sprint(tables(to)); got != want {
			t.Errorf("moved to %s, the source goes by the tables %s, want %s", to, got, want)
		}
	}
}

// TestOverrideOfAClassThatIsGone names the move, and both ways out.
func TestOverrideOfAClassThatIsGone(t *testing.T) {
	for _, o := range []Override{cgroupOverride("x.slice", "gone"), {Subject: "class:gone", From: "gone", To: "bulk"}} {
		_, err := Make(parse(t, overridden), twoUplinks().Facts, Numbers{}, Options{Overrides: []Override{o}})
		want := fmt.Sprintf("move %s to %s: the policy has no class gone any more: put the class back, or take the move back with `waymark move --undo %s`", o.Subject, o.To, o.Subject)
		if err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
}

// TestHeirs follows classes through a change: one stays, one has another
// route and so another number, and one is gone.
func TestHeirs(t *testing.T) {
	h := twoUplinks()
	before := h.make(t, overridden, Numbers{})
	after := h.make(t, strings.NewReplacer("name: bulk, route: [lte]", "name: bulk, route: [fiber]", "name: rest", "name: other").Replace(overridden), before.Numbers)
	mark := func(p *Plan, name string) uint32 { return p.Mask.Spread(p.Numbers.Classes[name]) }
	if mark(before, "bulk") == mark(after, "bulk") {
		t.Fatal("bulk kept its number")
	}
	want := map[uint32]uint32{
		mark(before, "first"): mark(before, "first"),
		mark(before, "bulk"):  mark(after, "bulk"),
		mark(before, "rest"):  mark(before, "rest"),
	}
	if diff := cmp.Diff(want, after.Heirs(before.Numbers)); diff != "" {
		t.Errorf("heirs (-want +got):\n%s", diff)
	}
}

// TestPins are the sources that the rules send by one uplink.
func TestPins(t *testing.T) {
	p := twoUplinks().make(t, overridden, Numbers{})
	for _, u := range p.Uplinks {
		for _, a := range u.Addresses {
			found := false
			for _, pin := range p.Pins() {
				found = found || pin.Source.Contains(a.Addr()) && pin.Uplink == u.Number
			}
			if !found {
				t.Errorf("%s of uplink %s is no pin", a, u.Name)
			}
		}
	}
}
