// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInside asks what is reached without a default route: the host itself,
// what is on its links, main's static routes, and what is never outside, each
// once.
func TestInside(t *testing.T) {
	h := exampleHost()
	static := *h.route("eth0", "192.0.2.9", 0)
	static.Dst = prefix("172.16.0.0/12")
	other := static
	other.Dst, other.Table = prefix("172.17.0.0/16"), 300
	h.Routes = append(h.Routes[:len(h.Routes)-1], static, static, other)
	h.Own = []netip.Addr{netip.MustParseAddr("192.0.2.77")}
	p := h.make(t, fmt.Sprintf(uplinkPolicy, "auto"), Numbers{})
	want := []string{"10.0.0.0/8", "10.0.0.0/24", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24",
		"192.0.2.77/32", "192.168.0.0/16", "192.168.1.0/24", "224.0.0.0/4",
		"::1/128", "2001:db8:1::/64", "2001:db8:2::/64", "fc00::/7", "fe80::/10", "ff00::/8"}
	if diff := cmp.Diff(strings.Join(want, " "), strings.Trim(fmt.Sprint(p.Inside), "[]")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	byMain := "[10.0.0.0/24 172.16.0.0/12 192.0.2.0/24 192.168.1.0/24 2001:db8:1::/64 2001:db8:2::/64]"
	if diff := cmp.Diff(byMain, fmt.Sprint(p.ByMain)); diff != "" {
		t.Errorf("by main (-want +got):\n%s", diff)
	}
}

// TestWholeMarks has a rule on a whole mark beside those of tools that are
// known, and more of them than there is room for.
func TestWholeMarks(t *testing.T) {
	policy := fmt.Sprintf(uplinkPolicy, "auto")
	known := twoUplinks().make(t, policy, Numbers{}).WholeMarks
	if !slices.Contains(known, 0xca6c) || !slices.IsSorted(known) {
		t.Errorf("the marks are %#x, want wg-quick's 0xca6c among them", known)
	}
	h := twoUplinks()
	foreign(func(r *Rule) { r.Mark, r.Mask = 0x77, 1<<32-1 })(h)
	foreign(func(r *Rule) { r.Mark, r.Mask = 0x78, 0xff })(h)
	got := h.make(t, policy, Numbers{}).WholeMarks
	if want := slices.Sorted(slices.Values(append(slices.Clone(known), 0x77))); !slices.Equal(got, want) {
		t.Errorf("the marks are %#x, want %#x", got, want)
	}
	for i := range uint32(2 * mostWholeMarks) {
		foreign(func(r *Rule) { r.Mark, r.Mask = 0x100000+i, 1<<32-1 })(h)
	}
	want := fmt.Sprintf("have %d: there is room for 256: ", len(known)+1+2*mostWholeMarks)
	if p, err := Make(parse(t, policy), h.Facts, Numbers{}, Options{}); p != nil || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("too many marks: %v, want %q in it", err, want)
	}
	h.Rules = h.Rules[:len(h.Rules)-len(known)-1-mostWholeMarks]
	if n := len(h.make(t, policy, Numbers{}).WholeMarks); n != mostWholeMarks {
		t.Errorf("%d marks, want as many as there is room for, %d", n, mostWholeMarks)
	}
}
