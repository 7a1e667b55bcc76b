// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestKernelThatCannotBeAsked plans for kernels that tell nobody the way of
// a class: nothing is switched on for the question, and a note says what
// that means.
func TestKernelThatCannotBeAsked(t *testing.T) {
	for _, c := range []struct {
		silent     map[Family]bool
		advertised bool
		note       string
		forwarding []string
	}{
		{nil, false, "", []string{"ipv4", "ipv6"}},
		{nil, true, "IPv6: the kernel would drop", []string{"ipv4"}},
		{map[Family]bool{IPv4: true}, false, "IPv4: this kernel's", []string{"ipv6"}},
		{map[Family]bool{IPv4: true, IPv6: true}, false, "IPv4 and IPv6: this kernel's", nil},
		{map[Family]bool{IPv4: true, IPv6: true}, true, "IPv4 and IPv6: this kernel's", nil},
	} {
		h := twoUplinks()
		h.Silent, h.Advertised = c.silent, c.advertised
		p := h.make(t, fmt.Sprintf(uplinkPolicy, "auto"), Numbers{})
		const words = "misroutes are counted and not repaired for "
		if said := strings.Join(p.Notes, "\n"); strings.Count(said, words) != min(1, len(c.note)) || !strings.Contains(said, c.note) {
			t.Errorf("%+v: the notes are %q", c, p.Notes)
		}
		for _, f := range []string{"ipv4", "ipv6"} {
			set := slices.ContainsFunc(p.Sysctls, func(s Sysctl) bool { return s.Name == loForwarding(f) })
			if set != slices.Contains(c.forwarding, f) {
				t.Errorf("%+v: %s is set: %v", c, loForwarding(f), set)
			}
		}
	}
}
