// SPDX-License-Identifier: Apache-2.0

package match

import "math/bits"

// store finds by a hash what a table under construction holds. The content
// stays where it is: Go's maps would keep every cell a second time.
type store struct {
	slots []stored // a power of two of them; half of them are free
	used  int
}

// stored is one reference, 0 for none.
type stored struct{ ref, hash uint32 }

// newStore has room for so many references.
func newStore(room int) store { return store{slots: make([]stored, 2<<bits.Len(uint(room)))} }

// find goes through the references of a hash until same holds for one. If it
// holds for none, it returns 0.
func (s *store) find(hash uint32, same func(ref uint32) bool) uint32 {
	for i := s.first(hash); s.slots[i].ref != 0; i = s.next(i) {
		if s.slots[i].hash == hash && same(s.slots[i].ref) {
			return s.slots[i].ref
		}
	}
	return 0
}

// put adds a reference that find did not find.
func (s *store) put(hash, ref uint32) {
	if s.used++; 2*s.used > len(s.slots) {
		old := s.slots
		s.slots = make([]stored, 2*len(old))
		for _, one := range old {
			if one.ref != 0 {
				s.enter(one)
			}
		}
	}
	s.enter(stored{ref, hash})
}

func (s *store) enter(one stored) {
	i := s.first(one.hash)
	for s.slots[i].ref != 0 {
		i = s.next(i)
	}
	s.slots[i] = one
}

func (s *store) first(hash uint32) int { return int(hash) & (len(s.slots) - 1) }

func (s *store) next(i int) int { return (i + 1) & (len(s.slots) - 1) }

// hashOf mixes words to a hash.
func hashOf(words ...uint64) uint32 {
	var h uint64
	for _, w := range words {
		h = (bits.RotateLeft64(h, 27) ^ w) * 0x9e3779b97f4a7c15
		h ^= h >> 32
	}
	return uint32(h)
}
