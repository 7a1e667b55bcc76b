// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
)

// The kernel of a laboratory may have neither of these classifiers, nor the
// action: what it answers is known from its netlink library.
func TestUsesOfTC(t *testing.T) {
	edit := func(mark uint32, mask *uint32) []netlink.Action {
		a := netlink.NewSkbEditAction()
		a.Mark, a.Mask = &mark, mask
		return []netlink.Action{netlink.NewMirredAction(3), a}
	}
	low, whole := uint32(0xff), uint32(1<<32-1)
	for _, c := range []struct {
		name   string
		filter netlink.Filter
		want   []TCUse
	}{
		{"a mark as class", &netlink.FwFilter{FilterAttrs: netlink.FilterAttrs{Handle: 6}}, []TCUse{{What: "matches mark 0x6/0xffffffff", Mark: 6, Mask: whole}}},
		{"some bits as class", &netlink.FwFilter{FilterAttrs: netlink.FilterAttrs{Handle: 6}, Mask: 0xff}, []TCUse{{What: "matches mark 0x6/0xff", Mark: 6, Mask: low}}},
		{"sets the mark", &netlink.MatchAll{Actions: edit(5, nil)}, []TCUse{{What: "sets mark 0x5/0xffffffff", Sets: true, Mark: 5, Mask: whole}}},
		{"the connection's mark", &netlink.U32{Actions: []netlink.Action{&netlink.ConnmarkAction{}}}, []TCUse{{What: "sets the mark from the connection's", Sets: true, Mask: whole}}},
		{"sets some bits", &netlink.U32{Actions: edit(5, &low)}, []TCUse{{What: "sets mark 0x5/0xff", Sets: true, Mark: 5, Mask: low}}},
		{"sets another thing", &netlink.Flower{Actions: []netlink.Action{netlink.NewSkbEditAction()}}, nil},
	} {
		if got := usesOf(c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
