// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Rule attributes newer than the constants of x/sys/unix
// (include/uapi/linux/fib_rules.h of 6.17).
const (
	fraDSCP          = 25
	fraFlowLabel     = 26
	fraFlowLabelMask = 27
	fraSportMask     = 28
	fraDportMask     = 29
	fraDSCPMask      = 30
)

// none is how the kernel writes an absent suppress_* option.
const none = 0xffffffff

// decodeRule reads the body of an RTM_NEWRULE message.
func decodeRule(b []byte) (plan.Rule, error) {
	var head unix.RtMsg
	n, err := binary.Decode(b, binary.NativeEndian, &head)
	if err != nil {
		return plan.Rule{}, fmt.Errorf("decode rule: %w", err)
	}
	a := parse(b[n:])
	r := plan.Rule{
		Family:   family(head.Family),
		Priority: a.u32(unix.FRA_PRIORITY),
		OIF:      a.text(unix.FRA_OIFNAME),
		Mark:     a.u32(unix.FRA_FWMARK),
		Mask:     a.u32(unix.FRA_FWMASK),
		Protocol: a.u8(unix.FRA_PROTOCOL),
		Suppress: a.has(unix.FRA_SUPPRESS_PREFIXLEN) && a.u32(unix.FRA_SUPPRESS_PREFIXLEN) == 0,
	}
	if head.Src_len > 0 {
		r.From = a.prefix(unix.FRA_SRC, head.Src_len)
	}
	r.Action = decodeAction(head, &a)
	if r.Action == plan.Lookup {
		r.Table = decodeTable(head, &a)
	}
	r.Other = strings.Join(slices.Concat(otherAddresses(head, &a), otherWords(&a), unknownWords(&a)), " ")
	if a.err != nil {
		return plan.Rule{}, fmt.Errorf("decode rule: %w", a.err)
	}
	return r, nil
}

func decodeTable(head unix.RtMsg, a *attrs) uint32 {
	if a.has(unix.RTA_TABLE) { // FRA_TABLE has the same number
		return a.u32(unix.RTA_TABLE)
	}
	return uint32(head.Table)
}

func decodeAction(head unix.RtMsg, a *attrs) plan.Action {
	switch head.Type {
	case unix.FR_ACT_TO_TBL:
		if a.u8(unix.FRA_L3MDEV) != 0 {
			return "l3mdev"
		}
		return plan.Lookup
	case unix.FR_ACT_GOTO:
		return plan.Action(fmt.Sprintf("goto %d", a.u32(unix.FRA_GOTO)))
	case unix.FR_ACT_NOP:
		return "nop"
	case unix.FR_ACT_BLACKHOLE:
		return plan.Blackhole
	case unix.FR_ACT_UNREACHABLE:
		return plan.Unreachable
	case unix.FR_ACT_PROHIBIT:
		return plan.Prohibit
	}
	return plan.Action(fmt.Sprintf("action %d", head.Type))
}
