// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMaskSpread(t *testing.T) {
	for _, c := range []struct {
		mask         Mask
		number, mark uint32
		highest      uint32
		runs         []Run
	}{
		{0xb7000000, 1, 0x01000000, 63, []Run{{0x07000000, 24}, {0x30000000, 25}, {0x80000000, 26}}},
		{0xb7000000, 0b111000, 0xb0000000, 63, []Run{{0x07000000, 24}, {0x30000000, 25}, {0x80000000, 26}}},
		{0x1, 1, 0x1, 1, []Run{{0x1, 0}}},
		{0x80000000, 1, 0x80000000, 1, []Run{{0x80000000, 31}}},
		{0xfff, 0xabc, 0xabc, 0xfff, []Run{{0xfff, 0}}},
		{0xffffffff, 0x1234, 0x1234, 0xffff, []Run{{0xffffffff, 0}}},
		{0x00ff00f0, 0xabc, 0x00ab00c0, 0xfff, []Run{{0xf0, 4}, {0xff0000, 12}}},
	} {
		t.Run(fmt.Sprintf("%s %#x", c.mask, c.number), func(t *testing.T) {
			if mark := c.mask.Spread(c.number); mark != c.mark {
				t.Errorf("mark %#x, want %#x", mark, c.mark)
			}
			if highest := c.mask.Highest(); highest != c.highest {
				t.Errorf("highest %#x, want %#x", highest, c.highest)
			}
			if diff := cmp.Diff(c.runs, c.mask.Runs()); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	}
}

// randomMasks are masks of every number of bits, with and without gaps.
func randomMasks() (masks []Mask) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		wanted := 1 + r.IntN(32)
		m := Mask(0)
		for bits.OnesCount32(uint32(m)) < wanted {
			m |= 1 << r.IntN(32)
		}
		masks = append(masks, m)
	}
	return append(masks, 0xb7000000, 1, 1<<31, 1<<32-1, 0x55555555, 0xaaaaaaaa)
}

func TestMaskGatherUndoesSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, m := range randomMasks() {
		marks := map[uint32]bool{}
		for range 100 {
			n := r.Uint32N(m.Highest() + 1)
			mark := m.Spread(n)
			if mark&^uint32(m) != 0 {
				t.Fatalf("mask %s: number %#x has mark %#x, outside of it", m, n, mark)
			}
			others := r.Uint32() &^ uint32(m)
			if back := m.Gather(mark | others); back != n {
				t.Fatalf("mask %s: number %#x comes back as %#x beside others' bits %#x", m, n, back, others)
			}
			marks[mark] = true
		}
		if m.Highest() > 1000 && len(marks) < 50 {
			t.Errorf("mask %s: 100 numbers have %d marks", m, len(marks))
		}
	}
}

// TestMaskRunsMakeTheMask holds the runs, which the BPF programs are given,
// against the mask: they are it, in order, and shift every bit to its place.
func TestMaskRunsMakeTheMask(t *testing.T) {
	for _, m := range randomMasks() {
		whole, place := uint32(0), 0
		for _, run := range m.Runs() {
			length, start := bits.OnesCount32(run.Bits), bits.TrailingZeros32(run.Bits)
			if run.Bits>>start != 1<<length-1 || length == 0 {
				t.Errorf("mask %s: run %#x is no stretch", m, run.Bits)
			}
			if whole != 0 && start <= bits.Len32(whole) {
				t.Errorf("mask %s: run %#x is not beyond a gap above %#x", m, run.Bits, whole)
			}
			if start-int(run.Shift) != place {
				t.Errorf("mask %s: run %#x comes to bit %d of the number, want %d", m, run.Bits, start-int(run.Shift), place)
			}
			whole, place = whole|run.Bits, place+length
		}
		if whole != uint32(m) {
			t.Errorf("mask %s: its runs make %#x", m, whole)
		}
	}
}

// TestMaskBlockSelectsItsNumbers asks of every number, in a mask of up to
// eight bits, whether each block's rule takes it.
func TestMaskBlockSelectsItsNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, m := range randomMasks() {
		if m.Highest() > 255 {
			continue
		}
		for size := uint32(1); size <= m.Highest()+1; size *= 2 {
			for first := uint32(0); first <= m.Highest(); first += size {
				b := Block{First: first, Size: size}
				mark, mask := m.block(b)
				if mark&^mask != 0 || mask&^uint32(m) != 0 {
					t.Fatalf("mask %s, block %+v: fwmark %#x/%#x has bits outside", m, b, mark, mask)
				}
				for n := range m.Highest() + 1 {
					others := r.Uint32() &^ uint32(m)
					taken, want := (m.Spread(n)|others)&mask == mark, n >= first && n < first+size
					if taken != want {
						t.Fatalf("mask %s, block %+v: fwmark %#x/%#x takes number %d: %v", m, b, mark, mask, n, taken)
					}
				}
			}
		}
	}
}
