// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// forwardingHost is twoUplinks that forwards IPv4, and knows connections.
func forwardingHost() *host {
	h := twoUplinks()
	h.Tracks = true
	h.Sysctls[ForwardingNames[IPv4]] = "1"
	return h
}

// TestAnswersComeAfterClasses fills a small mask: the answers keep their
// numbers until classes need them, and the plan says which have none.
func TestAnswersComeAfterClasses(t *testing.T) {
	h := forwardingHost()
	before := Numbers{}
	var numbers []map[string]uint32
	for n := 1; n < 8; n++ {
		p := h.make(t, policyText(0x7, classNames(n, "[a]")...), before)
		taken := map[uint32]bool{}
		for _, numbers := range []map[string]uint32{p.Numbers.Classes, p.Numbers.Answers} {
			for name, number := range numbers {
				if number == 0 || taken[number] {
					t.Errorf("%d classes: %s has number %d, as another", n, name, number)
				}
				taken[number] = true
			}
		}
		if said := strings.Contains(strings.Join(p.Notes, "\n"), "has no number left"); said != (len(p.Numbers.Answers) < 2) {
			t.Errorf("%d classes: the answers have %v, the notes are %q", n, p.Numbers.Answers, p.Notes)
		}
		numbers = append(numbers, p.Numbers.Answers)
		before = p.Numbers
	}
	if len(numbers[2]) != 2 || !maps.Equal(numbers[0], numbers[2]) {
		t.Errorf("the answers have %v, and with 3 classes %v", numbers[0], numbers[2])
	}
	if len(numbers[6]) != 0 {
		t.Errorf("7 classes fill the mask, and the answers have %v", numbers[6])
	}
}

// TestWhoIsAnswered has hosts and policies whose answers need no number.
func TestWhoIsAnswered(t *testing.T) {
	text := policyText(0xff, "one: [a]")
	for name, c := range map[string]struct {
		change func(*host)
		policy string
		want   []string // interface and family
	}{
		"it forwards":                  {func(*host) {}, text, []string{"eth0 IPv4", "eth1 IPv4"}},
		"both families":                {func(h *host) { h.Sysctls[ForwardingNames[IPv6]] = "1" }, text, []string{"eth0 IPv4", "eth0 IPv6", "eth1 IPv4", "eth1 IPv6"}},
		"it does not forward":          {func(h *host) { h.Sysctls[ForwardingNames[IPv4]] = "0" }, text, nil},
		"nobody knows":                 {func(h *host) { delete(h.Sysctls, ForwardingNames[IPv4]) }, text, nil},
		"no connections":               {func(h *host) { h.Tracks = false }, text, nil},
		"one uplink":                   {func(*host) {}, "uplinks: [{name: a, interface: eth0}]\n", nil},
		"the policy leaves it":         {func(*host) {}, strings.Replace(text, "eth1", "eth1, symmetric: false", 1), []string{"eth0 IPv4"}},
		"an interface that is to come": {func(*host) {}, strings.Replace(text, "eth1", "eth9", 1), []string{"eth0 IPv4", "eth9 IPv4"}},
		"no next hop":                  {func(*host) {}, strings.Replace(text, "eth1", "eth1, gateway: \"2001:db8:2::1\"", 1), []string{"eth0 IPv4"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := forwardingHost()
			c.change(h)
			var got []string
			for _, a := range h.make(t, c.policy, Numbers{}).Answers {
				got = append(got, a.Interface+" "+a.Family.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("answers are of %v, want %v", got, c.want)
			}
		})
	}
}
