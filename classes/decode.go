// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// decoder builds a policy from the trees of its files and collects what is
// wrong on the way.
type decoder struct {
	policy   *Policy
	source   *source // the file being decoded
	problems Problems
	dropped  int // problems beyond maxProblems

	items   plainReader // of the items that are unread
	unplain bool        // one of them is not in plain YAML: the library has to read the file

	match Match // that is being read: one for all

	paths      room[string]
	protocols  room[uint8]
	prefixes   room[netip.Prefix]
	portRanges room[PortRange]
}

// maxProblems is more than anybody reads. A program that writes one wrong line
// a hundred thousand times must not get all of them back.
const maxProblems = 1000

func (d *decoder) pos(n *node) Position { return d.source.position(int(n.line), int(n.column)) }

// problem notes what is wrong with n.
func (d *decoder) problem(n *node, text, hint string, related ...Position) {
	p := d.source.problem(int(n.line), int(n.column), text, hint)
	p.Related = related
	d.report(p)
}

func (d *decoder) report(p Problem) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, p)
	} else {
		d.dropped++
	}
}

// field is one key that a mapping may have: how its value is read into a T.
type field[T any] struct {
	key      string
	example  string // a value, for hints
	required bool
	read     func(d *decoder, into *T, value *node)
}

// fields reads the mapping n by its table of fields.
func fields[T any](d *decoder, n *node, what string, table []field[T], into *T) {
	if n.kind != mapping {
		d.problem(n, fmt.Sprintf("%s must be a mapping, not %s", what, n.kind), "its keys are "+strings.Join(keys(table), ", "))
		return
	}
	if name := nameAsKey(n, table); name != nil {
		d.problem(name, fmt.Sprintf("%q stands where the keys of %s do", name.text, what), fmt.Sprintf("it is one of a list: write \"- name: %s\", and its keys below", name.text))
		return
	}
	var room [mostFields]*node
	given := room[:len(table)]
	for i := 0; i < len(n.items); i += 2 {
		key, value := &n.items[i], &n.items[i+1]
		at := place(table, key.text)
		switch {
		case at < 0 || key.kind > scalar:
			if meant := d.unknownKey(key, what, keys(table)); meant >= 0 && given[meant] == nil {
				given[meant] = key
			}
		case given[at] != nil:
			d.problem(key, fmt.Sprintf("%s is given twice", key.text), "keep one of the two", d.pos(given[at]))
		case value.kind == null:
			given[at] = key
			d.problem(value, fmt.Sprintf("%s has no value", key.text), fmt.Sprintf("write %s: %s, or delete it", key.text, table[at].example))
		default:
			given[at] = key
			table[at].read(d, into, value)
		}
	}
	for i := range table {
		if f := &table[i]; f.required && given[i] == nil {
			d.problem(n, fmt.Sprintf("%s has no %s", what, f.key), fmt.Sprintf("add %s: %s", f.key, f.example))
		}
	}
}

// nameAsKey is the first of n's keys where all of them are names, as in formats
// that have a mapping in place of a list; nil otherwise.
func nameAsKey[T any](n *node, table []field[T]) *node {
	if at := place(table, "name"); at < 0 || !table[at].required || len(n.items) == 0 {
		return nil
	}
	for i := 0; i < len(n.items); i += 2 {
		if n.items[i+1].kind != mapping || place(table, n.items[i].text) >= 0 {
			return nil
		}
	}
	return &n.items[0]
}

// mostFields is how many a mapping may have.
const mostFields = 16

// place is where a key is in a table of fields, or -1.
func place[T any](table []field[T], key string) int {
	for i := range table {
		if table[i].key == key {
			return i
		}
	}
	return -1
}

func keys[T any](table []field[T]) []string {
	names := make([]string, len(table))
	for i, f := range table {
		names[i] = f.key
	}
	return names
}

// unknownKey returns which of the known keys is probably meant, or -1.
func (d *decoder) unknownKey(key *node, what string, known []string) int {
	hint := "the keys are " + strings.Join(known, ", ")
	meant, _, glued := strings.Cut(key.text, ":")
	if glued && slices.Contains(known, meant) {
		hint = fmt.Sprintf("put a blank behind the colon of %q", meant+":")
	} else if meant = closest(key.text, known); meant != "" {
		hint = fmt.Sprintf("did you mean %q? %s", meant, hint)
	}
	d.problem(key, fmt.Sprintf("unknown key %q in %s", key.text, what), hint)
	return slices.Index(known, meant)
}

// each reads a list, or the single value that may stand for a list of one.
func each[T any](d *decoder, n *node, read func(*decoder, *node) (T, bool)) []T {
	return eachIn(d, nil, n, read)
}

// eachIn is each for a list that has a place in a room.
func eachIn[T any](d *decoder, r *room[T], n *node, read func(*decoder, *node) (T, bool)) []T {
	if n.kind != sequence {
		if v, ok := read(d, n); ok {
			return append(r.take(1), v)
		}
		return nil
	}
	if len(n.items) == 0 {
		d.problem(n, "an empty list", "list at least one value, or delete the key")
		return nil
	}
	if parts(len(n.items)) > 1 {
		return eachInParts(d, n.items, read)
	}
	return eachOf(d, n.items, r.take(len(n.items)), read)
}

// eachOf appends what it reads to list.
func eachOf[T any](d *decoder, items []node, list []T, read func(*decoder, *node) (T, bool)) []T {
	for i := range items {
		item := &items[i]
		if item.kind == unread {
			var ok bool
			if item, ok = d.items.readItem(item); !ok {
				d.unplain = true
				break
			}
		}
		if v, ok := read(d, item); ok {
			list = append(list, v)
		}
	}
	return list
}

// eachInParts reads a list on all CPUs: each of its parts by a decoder of its
// own, into its own part of one list.
func eachInParts[T any](d *decoder, items []node, read func(*decoder, *node) (T, bool)) []T {
	all := make([]T, len(items))
	lists, decoders := make([][]T, parts(len(items))), make([]decoder, parts(len(items)))
	inParts(len(items), func(part, lo, hi int) {
		decoders[part] = decoder{policy: d.policy, source: d.source}
		lists[part] = eachOf(&decoders[part], items[lo:hi], all[lo:lo:hi], read)
	})
	list := all[:len(lists[0])]
	for part := range decoders {
		for _, p := range decoders[part].problems {
			d.report(p)
		}
		d.dropped += decoders[part].dropped
		d.unplain = d.unplain || decoders[part].unplain
		if part > 0 {
			list = append(list, lists[part]...)
		}
	}
	return list
}

// scalar returns the text of a scalar; want names what the text should be.
func (d *decoder) scalar(n *node, want string) (string, bool) {
	switch n.kind {
	case scalar:
		return n.text, true
	case boolean:
		d.problem(n, fmt.Sprintf("expected %s, found the truth value %s", want, n.text), fmt.Sprintf("if %s is a name, write it in quotes", n.text))
	case mapping:
		d.problem(n, fmt.Sprintf("expected %s, found a mapping", want), "write the value alone; text that ends in a colon goes in quotes")
	default:
		d.problem(n, fmt.Sprintf("expected %s, found %s", want, n.kind), "write "+want)
	}
	return "", false
}

// oneOf reads one of a few words; the first is the default.
func oneOf[T ~string](d *decoder, n *node, values ...T) T {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	want := "one of " + strings.Join(names, ", ")
	text, ok := d.scalar(n, want)
	if ok && !slices.Contains(values, T(text)) {
		hint := "write " + want
		if near := closest(text, names); near != "" {
			hint = fmt.Sprintf("did you mean %q? %s", near, hint)
		}
		d.problem(n, fmt.Sprintf("%q is not a value of this key", text), hint)
		return values[0]
	}
	return T(text)
}

// truth reads true or false.
func (d *decoder) truth(n *node) bool {
	if n.kind != boolean {
		d.problem(n, fmt.Sprintf("expected true or false, found %s", describe(n)), "write true or false, without quotes")
		return false
	}
	return strings.EqualFold(n.text, "true")
}

func describe(n *node) string {
	if n.kind == scalar {
		return fmt.Sprintf("%q", n.text)
	}
	return n.kind.String()
}
