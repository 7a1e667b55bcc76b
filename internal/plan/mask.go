// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"math/bits"

	"waymark/classes"
)

// Mask is the bits of the fwmark that are ours; gaps are allowed. Only the
// lowest NumberBits of them carry numbers, so that the kernel's table of
// classes stays small; the others are held at zero.
type Mask uint32

// NumberBits is the most bits of a mask that numbers use: 65,535 classes.
const NumberBits = classes.MaskBits

// Run is a stretch of adjacent bits of a mask: Bits in the mark, Shift from
// there to their place in the number.
type Run struct {
	Bits, Shift uint32
}

// Highest is the highest number the mask holds.
func (m Mask) Highest() uint32 {
	return 1<<min(NumberBits, bits.OnesCount32(uint32(m))) - 1
}

// Spread puts a number's bits at the mask's, lowest first.
func (m Mask) Spread(number uint32) (mark uint32) {
	for rest := uint32(m); rest != 0 && number != 0; rest &= rest - 1 {
		mark |= rest & -rest * (number & 1)
		number >>= 1
	}
	return mark
}

// Gather is the number whose bits stand at the mask's: Spread, undone.
func (m Mask) Gather(mark uint32) (number uint32) {
	for _, r := range m.Runs() {
		number |= mark & r.Bits >> r.Shift
	}
	return number
}

// Runs is the mask as stretches of adjacent bits, lowest first.
func (m Mask) Runs() (runs []Run) {
	place := 0
	for rest := uint32(m); rest != 0; {
		start := bits.TrailingZeros32(rest)
		length := bits.TrailingZeros32(^(rest >> start))
		stretch := uint32((uint64(1)<<length - 1) << start)
		runs = append(runs, Run{Bits: stretch, Shift: uint32(start - place)})
		rest &^= stretch
		place += length
	}
	return runs
}

// block is the fwmark and mask that select a block of numbers.
func (m Mask) block(b Block) (mark, mask uint32) {
	return m.Spread(b.First), uint32(m) &^ m.Spread(b.Size-1)
}

// String is the mask in hexadecimal.
func (m Mask) String() string { return fmt.Sprintf("%#x", uint32(m)) }
