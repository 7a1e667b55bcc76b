// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// inVRF puts an interface of the host in a VRF, as the kernel would.
func (h *host) inVRF(name string, vrf VRF) {
	h.change(name, func(l *Link) { l.VRF = vrf })
	for k, r := range h.Routes {
		if r.Hops[0].Interface == name {
			h.Routes[k].Table = vrf.Table
		}
	}
	for _, f := range Families {
		h.Rules = append(h.Rules, Rule{Family: f, Priority: 1000, Action: lookupVRF, Protocol: 2})
	}
	for _, s := range acceptsAcross {
		h.Sysctls[s] = "0"
	}
}

// TestVRF plans for an uplink in a VRF: behind the kernel's own rule and, with
// a note, before it; at the same priority not at all.
func TestVRF(t *testing.T) {
	red := VRF{Name: "red", Index: 77, Table: 10}
	policy := func(base string) string { return base + policyText(0xff, "one: [a]", "two: [b]") }
	h := twoUplinks()
	h.inVRF("eth1", red)

	_, err := Make(parse(t, policy("")), h.Facts, Numbers{}, Options{})
	const behind = "begin behind it with `rules: {base: 2000}`"
	if conflicts := (Conflicts)(nil); !errors.As(err, &conflicts) || len(conflicts) != 2 || !strings.HasPrefix(conflicts[0].Cure, behind) {
		t.Errorf("beside the kernel's rule for VRFs: %v", err)
	}

	const deaf = "what comes in by it reaches no socket that is not bound to red"
	for base, bypasses := range map[string]bool{"rules: {base: 500}\n": true, "rules: {base: 2000}\n": false} {
		notes := strings.Join(h.make(t, policy(base), Numbers{}).Notes, "\n")
		if strings.Contains(notes, behind) != bypasses || !strings.Contains(notes, deaf) {
			t.Errorf("%s: the notes are %q", base, notes)
		}
	}
	for _, s := range acceptsAcross {
		h.Sysctls[s] = "1"
	}
	p := h.make(t, policy("rules: {base: 2000}\n"), Numbers{})
	if len(p.Notes) != 0 {
		t.Errorf("where sockets get what comes in by VRFs, the notes are %q", p.Notes)
	}
	for _, prefix := range []string{"10.0.2.0/24", "2001:db8:2::/64", "0.0.0.0/0", "::/0"} {
		in := func(r Route) bool { // IPv4 refuses a source that is of another table's
			return !(r.Family == IPv4 && r.Source.IsValid()) && r.Table == p.UplinkNamed("b").Table && r.Dst == netip.MustParsePrefix(prefix) && r.Hops[0].Interface == "eth1"
		}
		if !slices.ContainsFunc(p.Routes, in) {
			t.Errorf("the uplink's table has no route to %s", prefix)
		}
	}
	for _, hook := range p.Hooks {
		if want := map[string]int{"egress eth1": red.Index}[hook.Program+" "+hook.Place]; hook.Master != want {
			t.Errorf("%s at %s is told of master %d, want %d", hook.Program, hook.Place, hook.Master, want)
		}
	}
}
