// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"cmp"
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

type branch struct {
	list    []int // a leaf's matches, in order
	field   coverField
	unnamed *branch // those that say nothing about the field
	kids    map[coverKey]*branch
	lengths []uint8 // of the prefixes in kids
}

const (
	leafSize  = 8 // comparing that many costs less than a further branch
	maxCopies = 4 // of one match, at a branch below the root
)

func newCoverIndex(matches []*Match) *coverIndex {
	x := &coverIndex{matches: matches}
	list := make([]int, len(matches))
	for i := range list {
		list[i] = i
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

func (x *coverIndex) branch(list []int, fields []coverField, root bool) *branch {
	if len(list) <= leafSize || len(fields) == 0 {
		return &branch{list: list}
	}
	b := &branch{field: fields[0], kids: map[coverKey]*branch{}}
	var unnamed []int
	filed := map[coverKey][]int{}
	for _, i := range list {
		if n := b.field.count(x.matches[i]); n == 0 || n > maxCopies && !root {
			unnamed = append(unnamed, i)
			continue
		}
		b.field.each(x.matches[i], func(k coverKey) {
			if same := filed[k]; len(same) == 0 || same[len(same)-1] != i {
				filed[k] = append(same, i)
			}
		})
	}
	if len(filed) == 0 {
		return x.branch(list, fields[1:], root)
	}
	for k, list := range filed {
		b.kids[k] = x.branch(list, fields[1:], false)
		if !slices.Contains(b.lengths, k.bits) {
			b.lengths = append(b.lengths, k.bits)
		}
	}
	b.unnamed = x.branch(unnamed, fields[1:], false)
	return b
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
	if b.kids == nil {
		for _, i := range b.list {
			if i >= limit || covers(x.matches[i], m) {
				return min(i, limit)
			}
		}
		return limit
	}
	limit = x.search(b.unnamed, m, limit)
	b.field.eachAbove(m, b.lengths, func(k coverKey) {
		if kid := b.kids[k]; kid != nil {
			limit = x.search(kid, m, limit)
		}
	})
	return limit
}
