// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
)

// number is a flag whose value lies within bounds, both included. Its zero
// value is a flag that was not given.
type number struct {
	value  int
	lo, hi int
}

func (n *number) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < n.lo || v > n.hi {
		return fmt.Errorf("write a number from %d to %d", n.lo, n.hi)
	}
	n.value = v
	return nil
}

func (n *number) String() string {
	if n.value == 0 {
		return ""
	}
	return strconv.Itoa(n.value)
}

func (n *number) Type() string { return "number" }
