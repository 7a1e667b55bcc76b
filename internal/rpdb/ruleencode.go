// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

var actions = map[plan.Action]uint8{
	plan.Lookup:      unix.FR_ACT_TO_TBL,
	plan.Unreachable: unix.FR_ACT_UNREACHABLE,
	plan.Prohibit:    unix.FR_ACT_PROHIBIT,
	plan.Blackhole:   unix.FR_ACT_BLACKHOLE,
}

// encodeRule is the body of the RTM_NEWRULE or RTM_DELRULE for a rule that
// checkRule has passed.
func encodeRule(r plan.Rule) message {
	head := unix.RtMsg{Family: number(r.Family), Type: actions[r.Action]}
	if r.From.IsValid() {
		head.Src_len = uint8(r.From.Bits())
	}
	m := newMessage(head)
	m.u32(unix.FRA_PRIORITY, r.Priority)
	m.u8(unix.FRA_PROTOCOL, r.Protocol)
	if r.From.IsValid() {
		m.addr(unix.FRA_SRC, r.From.Addr())
	}
	if r.OIF != "" {
		m.text(unix.FRA_OIFNAME, r.OIF)
	}
	if r.Mask != 0 {
		m.u32(unix.FRA_FWMARK, r.Mark)
		m.u32(unix.FRA_FWMASK, r.Mask)
	}
	if r.Action == plan.Lookup {
		m.u32(unix.FRA_TABLE, r.Table)
	}
	if r.Suppress {
		m.u32(unix.FRA_SUPPRESS_PREFIXLEN, 0)
	}
	return m
}
