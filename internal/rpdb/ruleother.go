// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// plainAttributes are the rule attributes that plan.Rule has fields for,
// and those that say nothing of their own.
var plainAttributes = []uint16{
	unix.FRA_UNSPEC, unix.FRA_SRC, unix.FRA_GOTO, unix.FRA_PRIORITY, unix.FRA_FWMARK, unix.FRA_TABLE, unix.FRA_OIFNAME,
	unix.FRA_FWMASK, unix.FRA_PAD, unix.FRA_L3MDEV, unix.FRA_PROTOCOL,
	fraFlowLabelMask, fraSportMask, fraDportMask, fraDSCPMask,
}

// selector words one attribute that Waymark never writes, as ip(8) takes
// it; the empty text says nothing.
type selector struct {
	typ  uint16
	text func(a *attrs, typ uint16) string
}

// selectors are in ip(8)'s own order.
var selectors = []selector{
	{unix.FRA_IIFNAME, func(a *attrs, t uint16) string { return "iif " + a.text(t) }},
	{unix.FRA_UID_RANGE, uidRange},
	{unix.FRA_IP_PROTO, func(a *attrs, t uint16) string { return fmt.Sprintf("ipproto %d", a.u8(t)) }},
	{unix.FRA_SPORT_RANGE, func(a *attrs, t uint16) string { return "sport " + ports(a, t, fraSportMask) }},
	{unix.FRA_DPORT_RANGE, func(a *attrs, t uint16) string { return "dport " + ports(a, t, fraDportMask) }},
	{unix.FRA_TUN_ID, func(a *attrs, t uint16) string {
		return fmt.Sprintf("tun_id %d", binary.BigEndian.Uint64(a.bytes(t, 8)))
	}},
	{fraDSCP, func(a *attrs, t uint16) string { return masked8("dscp", a, t, fraDSCPMask) }},
	{fraFlowLabel, flowLabel},
	{unix.FRA_SUPPRESS_PREFIXLEN, func(a *attrs, t uint16) string {
		if a.u32(t) == 0 {
			return "" // plan.Rule's Suppress
		}
		return unless(none, "suppress_prefixlength", a.u32(t))
	}},
	{unix.FRA_SUPPRESS_IFGROUP, func(a *attrs, t uint16) string {
		return unless(none, "suppress_ifgroup", a.u32(t))
	}},
	{unix.FRA_FLOW, func(a *attrs, t uint16) string {
		return fmt.Sprintf("realms %d/%d", a.u32(t)>>16, a.u32(t)&0xffff)
	}},
}

// otherAddresses words what the header says beside the attributes.
func otherAddresses(head unix.RtMsg, a *attrs) []string {
	var words []string
	if head.Flags&unix.FIB_RULE_INVERT != 0 {
		words = append(words, "not")
	}
	if head.Dst_len > 0 {
		words = append(words, "to "+a.prefix(unix.FRA_DST, head.Dst_len).String())
	}
	if head.Tos != 0 {
		words = append(words, fmt.Sprintf("tos %#x", head.Tos))
	}
	return words
}

// otherWords words the attributes Waymark knows and never writes.
func otherWords(a *attrs) []string {
	var words []string
	for _, s := range selectors {
		if !a.has(s.typ) {
			continue
		}
		if text := s.text(a, s.typ); text != "" {
			words = append(words, text)
		}
	}
	return words
}

// unknownWords keeps what a newer kernel may say: a selector that is
// silently dropped would make a narrow rule look like a broad one.
func unknownWords(a *attrs) []string {
	var words []string
	for _, typ := range a.types() {
		known := typ == unix.FRA_DST || slices.Contains(plainAttributes, typ) ||
			slices.ContainsFunc(selectors, func(s selector) bool { return s.typ == typ })
		if !known {
			words = append(words, fmt.Sprintf("attribute-%d %#x", typ, a.value(typ)))
		}
	}
	return words
}

func unless(absent uint32, word string, v uint32) string {
	if v == absent {
		return ""
	}
	return fmt.Sprintf("%s %d", word, v)
}

func uidRange(a *attrs, t uint16) string {
	v := a.bytes(t, 8)
	return fmt.Sprintf("uidrange %d-%d", binary.NativeEndian.Uint32(v), binary.NativeEndian.Uint32(v[4:]))
}

func ports(a *attrs, t, mask uint16) string {
	v := a.bytes(t, 4)
	first, last := binary.NativeEndian.Uint16(v), binary.NativeEndian.Uint16(v[2:])
	switch {
	case a.has(mask) && a.u16(mask) != 0xffff:
		return fmt.Sprintf("%#x/%#x", first, a.u16(mask))
	case first == last:
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

func masked8(word string, a *attrs, t, mask uint16) string {
	if a.has(mask) && a.u8(mask) != 0x3f {
		return fmt.Sprintf("%s %#x/%#x", word, a.u8(t), a.u8(mask))
	}
	return fmt.Sprintf("%s %d", word, a.u8(t))
}

func flowLabel(a *attrs, t uint16) string {
	return fmt.Sprintf("flowlabel %#x/%#x", binary.BigEndian.Uint32(a.bytes(t, 4)),
		binary.BigEndian.Uint32(a.bytes(fraFlowLabelMask, 4)))
}
