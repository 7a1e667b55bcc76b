// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"testing"
)

// TestMoreClassesThanAnyMaskHolds has a mask of more bits than are used.
func TestMoreClassesThanAnyMaskHolds(t *testing.T) {
	for n, want := range map[int]string{
		65535: "[]",
		65536: "[65536 classes do not fit: mask 0x00ffffff has 16 bits that are used, which is room for 65535]",
	} {
		d := &decoder{policy: &Policy{Mark: Mark{Mask: 0xffffff}, Classes: make([]Class, n)}}
		d.checkMask()
		said := []string{}
		for _, p := range d.problems {
			said = append(said, p.Text)
		}
		if got := fmt.Sprint(said); got != want {
			t.Errorf("%d classes: %s, want %s", n, got, want)
		}
	}
}
