// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"strconv"
	"strings"
)

// parseNumber reads a decimal number, or a hexadecimal one after 0x. It takes
// no leading zeros: whether 010 is eight or ten depends on whom you ask.
func parseNumber(text string) (uint64, bool) {
	base, digits := 10, text
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		base, digits = 16, hex
	} else if len(text) > 1 && text[0] == '0' {
		return 0, false
	}
	v, err := strconv.ParseUint(digits, base, 64)
	return v, err == nil
}

// number reads a number from lo, which is at least 1, to hi. It returns 0 when
// there is none.
func (d *decoder) number(n *node, want string, lo, hi uint64) uint64 {
	text, ok := d.scalar(n, fmt.Sprintf("%s from %d to %d", want, lo, hi))
	if !ok {
		return 0
	}
	hint := fmt.Sprintf("write %s from %d to %d", want, lo, hi)
	switch v, ok := parseNumber(text); {
	case !ok:
		d.problem(n, fmt.Sprintf("%q is not %s", text, want), hint)
	case v < lo || v > hi:
		d.problem(n, fmt.Sprintf("%s is out of range", text), hint)
	default:
		return v
	}
	return 0
}

// span reads a number from lo to hi, or two of them as in 8000-8100.
func (d *decoder) span(n *node, text, want, example string, lo, hi uint64) (from, to uint64, ok bool) {
	first, second, isRange := strings.Cut(text, "-")
	if !isRange {
		second = first
	}
	from, ok1 := parseNumber(first)
	to, ok2 := parseNumber(second)
	switch {
	case !ok1 || !ok2:
		d.problem(n, fmt.Sprintf("%q is not %s", text, want), "write it like "+example)
	case from > to:
		d.problem(n, fmt.Sprintf("the range %s runs backwards", text), fmt.Sprintf("write %d-%d", to, from))
	case from < lo || to > hi:
		d.problem(n, fmt.Sprintf("%s is out of range", text), fmt.Sprintf("the numbers go from %d to %d", lo, hi))
	default:
		return from, to, true
	}
	return 0, 0, false
}
