// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"waymark/classes"
)

// inCommon is what two matches take both. ok is false where they take nothing
// in common; an error names a field of which that cannot be told.
func inCommon(a, b classes.Match) (m classes.Match, ok bool, err error) {
	m = a
	ok = fields(&m.Cgroup, b.Cgroup, deeper) && fields(&m.Proto, b.Proto, equal[uint8]) && fields(&m.IIF, b.IIF, equal[string]) &&
		fields(&m.Src, b.Src, narrower) && fields(&m.Dst, b.Dst, narrower) && fields(&m.Sport, b.Sport, overlap) && fields(&m.Dport, b.Dport, overlap)
	if named(a.UID) != named(b.UID) && len(a.UID) > 0 && len(b.UID) > 0 {
		return m, false, fmt.Errorf("two conditions on one uid: write down what both leave")
	}
	return m, ok && fields(&m.UID, b.UID, oneUser), nil
}

// fields puts the values that two fields have in common into the first; an
// empty field takes all.
func fields[T any](values *[]T, more []T, both func(a, b T) (T, bool)) bool {
	if len(more) == 0 {
		return true
	}
	if len(*values) == 0 {
		*values = more
		return true
	}
	var common []T
	for _, a := range *values {
		for _, b := range more {
			if v, ok := both(a, b); ok {
				common = append(common, v)
			}
		}
	}
	*values = common
	return len(common) > 0
}

func equal[T comparable](a, b T) (T, bool) { return a, a == b }

// deeper is the cgroup that is below the other one.
func deeper(a, b string) (string, bool) {
	if strings.HasPrefix(a+"/", b+"/") {
		return a, true
	}
	return b, strings.HasPrefix(b+"/", a+"/")
}

func narrower(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() < b.Bits() {
		a, b = b, a
	}
	return a, a.Overlaps(b)
}

func overlap(a, b classes.PortRange) (classes.PortRange, bool) {
	r := classes.PortRange{Lo: max(a.Lo, b.Lo), Hi: min(a.Hi, b.Hi)}
	return r, r.Lo <= r.Hi
}

func oneUser(a, b classes.User) (classes.User, bool) {
	if a.Name != "" || b.Name != "" {
		return a, a.Name == b.Name
	}
	u := classes.User{Lo: max(a.Lo, b.Lo), Hi: min(a.Hi, b.Hi)}
	return u, u.Lo <= u.Hi
}

// named tells whether any of some users has a name, so that it is not known
// whether a range holds him.
func named(users []classes.User) bool {
	return slices.ContainsFunc(users, func(u classes.User) bool { return u.Name != "" })
}
