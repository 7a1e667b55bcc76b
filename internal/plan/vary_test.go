// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// eachLeaf changes every field below a value, one at a time. fresh gives a
// copy of the value each time, and what tells whether a change in it shows.
func eachLeaf(name string, fresh func() (reflect.Value, func() bool), report func(path string, shows bool)) {
	for n := 0; ; n++ {
		v, shows := fresh()
		left := n
		path, done := changeLeaf(name, v, &left)
		if !done {
			return
		}
		report(path, shows())
	}
}

// changeLeaf changes leaf number *left of a value and returns its path, which
// does not name the places in lists.
func changeLeaf(path string, v reflect.Value, left *int) (string, bool) {
	if change := leaf(v); change != nil {
		*left--
		if *left < 0 {
			change()
			return path, true
		}
		return "", false
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if p, done := changeLeaf(path+"."+v.Type().Field(i).Name, v.Field(i), left); done {
				return p, true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if p, done := changeLeaf(path, v.Index(i), left); done {
				return p, true
			}
		}
	case reflect.Map:
		for _, key := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
			element := reflect.New(v.Type().Elem()).Elem()
			element.Set(v.MapIndex(key))
			if p, done := changeLeaf(path, element, left); done {
				v.SetMapIndex(key, element)
				return p, true
			}
		}
	default:
		panic("no way to change a " + v.Type().String())
	}
	return "", false
}

// leaf is what changes a value that has no parts; nil for one that has.
func leaf(v reflect.Value) func() {
	switch x := v.Interface().(type) {
	case netip.Addr:
		return func() {
			if !x.IsValid() {
				x = addr("192.0.2.99")
			}
			v.Set(reflect.ValueOf(x.Next()))
		}
	case Words:
		return func() { v.Set(reflect.ValueOf(Words{note: "other " + x.note, match: x.match})) }
	case netip.Prefix:
		return func() {
			if !x.IsValid() || x.Bits() == 0 {
				x = netip.PrefixFrom(x.Addr(), 9)
			}
			if !x.Addr().IsValid() {
				x = prefix("192.0.2.0/24")
			}
			v.Set(reflect.ValueOf(netip.PrefixFrom(x.Addr(), x.Bits()-1).Masked()))
		}
	}
	switch v.Kind() {
	case reflect.String:
		return func() { v.SetString(v.String() + "x") }
	case reflect.Bool:
		return func() { v.SetBool(!v.Bool()) }
	case reflect.Int:
		return func() { v.SetInt(v.Int() + 1) }
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return func() { v.SetUint(v.Uint() + 1) }
	}
	return nil
}

// deepCopy is a plan that shares nothing with another.
func deepCopy(t *testing.T, p *Plan) *Plan {
	t.Helper()
	c := reflect.New(reflect.TypeFor[Plan]())
	c.Elem().Set(copied(reflect.ValueOf(p).Elem()))
	return c.Interface().(*Plan)
}

func copied(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch {
	case leaf(v) != nil:
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(copied(v.Field(i)))
		}
	case v.Kind() == reflect.Slice && !v.IsNil():
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(copied(v.Index(i)))
		}
	case v.Kind() == reflect.Map && !v.IsNil():
		out.Set(reflect.MakeMap(v.Type()))
		for _, key := range v.MapKeys() {
			out.SetMapIndex(key, copied(v.MapIndex(key)))
		}
	}
	return out
}
