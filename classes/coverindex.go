// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"cmp"
	"math/bits"
	"slices"
)

// A coverIndex finds the first match that covers a given one, by comparing it
// with few. It is a tree: each branch files its matches under the values of one
// field, as prefixes, and a match is only compared with those filed under a
// prefix of its own value. What holds a field's whole value also holds the
// first part of it, so the first part is enough to look with.
type coverIndex struct {
	matches []*Match
	root    *branch
}

// branch files matches in buckets, by a hash of the values of its field. What
// has the hash of another value does not cover, and costs a comparison.
type branch struct {
	list    []int32            // a leaf's matches, in order
	filed   []filing           // what is in the buckets, one behind the other, in order in each
	starts  []int32            // of every bucket, and the end of the last; nil: a leaf
	deeper  map[uint32]*branch // those buckets that are worth a branch of their own
	shift   int                // that leaves the bucket of a hash
	field   coverField
	unnamed *branch // those that say nothing about the field
	lengths []uint8 // of the prefixes that some are filed under
}

const (
	leafSize  = 8 // comparing that many costs less than a further branch
	maxCopies = 4 // of one match, at a branch below the root
)

func newCoverIndex(matches []*Match) *coverIndex {
	x := &coverIndex{matches: matches}
	list := make([]int32, len(matches))
	for i := range list {
		list[i] = int32(i)
	}
	x.root = x.branch(list, x.bestFields(), true)
	return x
}

// bestFields returns the fields, those first that tell most matches apart.
func (x *coverIndex) bestFields() []coverField {
	const sample = 4096
	values := map[coverField]int{}
	for f := range coverField(coverFields) {
		seen := map[coverKey]bool{}
		for i := 0; i < len(x.matches); i += 1 + len(x.matches)/sample {
			f.each(x.matches[i], func(k coverKey) { seen[k] = true })
		}
		values[f] = len(seen)
	}
	fields := make([]coverField, coverFields)
	for i := range fields {
		fields[i] = coverField(i)
	}
	slices.SortStableFunc(fields, func(a, b coverField) int { return cmp.Compare(values[b], values[a]) })
	return fields
}

func (x *coverIndex) branch(list []int32, fields []coverField, root bool) *branch {
	if len(list) <= leafSize || len(fields) == 0 {
		return &branch{list: list}
	}
	b := &branch{field: fields[0], deeper: map[uint32]*branch{}}
	size := bits.Len(uint(len(list)))
	b.shift = 32 - size
	var unnamed []int32
	filed := make([]filing, 0, len(list))
	for _, i := range list {
		if n := b.field.count(x.matches[i]); n == 0 || n > maxCopies && !root {
			unnamed = append(unnamed, i)
			continue
		}
		b.field.each(x.matches[i], func(k coverKey) {
			filed = append(filed, filing{k.hash(), i})
			if !slices.Contains(b.lengths, k.bits) {
				b.lengths = append(b.lengths, k.bits)
			}
		})
	}
	if len(filed) == 0 {
		return x.branch(list, fields[1:], root)
	}
	b.file(filed, 1<<size)
	for i := range uint32(1) << size {
		if in := b.bucket(i); len(in) > leafSize {
			b.deeper[i] = x.branch(matchesOf(in), fields[1:], false)
		}
	}
	b.unnamed = x.branch(unnamed, fields[1:], false)
	return b
}

// filing is a match under the hash of one of its values.
type filing struct {
	hash  uint32
	match int32
}

// file puts matches into so many buckets; in each they keep their order.
func (b *branch) file(filed []filing, count uint32) {
	b.starts = make([]int32, count+1)
	for _, f := range filed {
		b.starts[f.hash>>b.shift+1]++
	}
	for i := range count {
		b.starts[i+1] += b.starts[i]
	}
	next := slices.Clone(b.starts)
	b.filed = make([]filing, len(filed))
	for _, f := range filed {
		place := &next[f.hash>>b.shift]
		b.filed[*place] = f
		*place++
	}
}

func (b *branch) bucket(i uint32) []filing { return b.filed[b.starts[i]:b.starts[i+1]] }

// matchesOf are the matches in a bucket, each once.
func matchesOf(filed []filing) []int32 {
	list := make([]int32, len(filed))
	for i, f := range filed {
		list[i] = f.match
	}
	return slices.Compact(list)
}

// first returns the first match before limit that covers m, or -1.
func (x *coverIndex) first(m *Match, limit int) int {
	if found := x.search(x.root, m, limit); found < limit {
		return found
	}
	return -1
}

// search returns the first match below limit that covers m, or limit.
func (x *coverIndex) search(b *branch, m *Match, limit int) int {
	if b.starts == nil {
		return x.scan(b.list, m, limit)
	}
	limit = x.search(b.unnamed, m, limit)
	b.field.eachAbove(m, b.lengths, func(k coverKey) {
		hash := k.hash()
		if deeper := b.deeper[hash>>b.shift]; deeper != nil {
			limit = x.search(deeper, m, limit)
			return
		}
		for _, f := range b.bucket(hash >> b.shift) {
			if f.hash == hash && int(f.match) < limit && covers(x.matches[f.match], m) {
				limit = int(f.match)
			}
		}
	})
	return limit
}

// scan compares m with all of a list, which is in order, up to limit.
func (x *coverIndex) scan(list []int32, m *Match, limit int) int {
	for _, i := range list {
		if int(i) >= limit || covers(x.matches[i], m) {
			return min(int(i), limit)
		}
	}
	return limit
}
