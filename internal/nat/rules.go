// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

const (
	register       = 1
	secondRegister = 2
)

// protocols are the values of `meta nfproto`.
var protocols = map[plan.Family]byte{plan.IPv4: unix.NFPROTO_IPV4, plan.IPv6: unix.NFPROTO_IPV6}

func interfaceName(name string) []byte { return append([]byte(name), make([]byte, 16-len(name))...) }

// encodeTable is the rules of every chain that has any. What was read and is
// none of ours has no interface, and is left out.
func encodeTable(t plan.Table) map[string][][]expr.Any {
	rules := map[string][][]expr.Any{}
	for _, a := range t.Answers {
		if a.Interface == "" {
			continue
		}
		rules[plan.ComesChain] = append(rules[plan.ComesChain], comes(a))
		rules[plan.AnswersChain] = append(rules[plan.AnswersChain], goes(a))
	}
	for _, s := range t.SNAT {
		if s.Interface == "" {
			continue
		}
		rules[plan.SNATChain] = append(rules[plan.SNATChain], encodeSNAT(s))
	}
	return rules
}

// decodeTable is encodeTable, undone: what it would not write counts as others'.
func decodeTable(rules map[string][][]expr.Any, t *plan.Table) {
	for _, exprs := range rules[plan.ComesChain] {
		t.Answers = append(t.Answers, decodeAnswer(exprs))
	}
	for _, exprs := range rules[plan.SNATChain] {
		t.SNAT = append(t.SNAT, decodeSNAT(exprs))
	}
	want := encodeTable(*t)
	for _, c := range chains {
		if !slices.EqualFunc(rules[c.Name], want[c.Name], same) {
			t.Others++
		}
	}
}

// family compares the packet's.
func family(f plan.Family) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{protocols[f]}},
	}
}

func encodeSNAT(s plan.SNAT) []expr.Any {
	exprs := append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: interfaceName(s.Interface)},
	}, family(s.Family)...)
	if !s.First.IsValid() {
		return append(exprs, &expr.Masq{})
	}
	// The kernel says both ends of a range of one address, too.
	n := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(protocols[s.Family]), RegAddrMin: register, RegAddrMax: register}
	exprs = append(exprs, &expr.Immediate{Register: register, Data: s.First.AsSlice()})
	if s.Last != s.First {
		exprs = append(exprs, &expr.Immediate{Register: secondRegister, Data: s.Last.AsSlice()})
		n.RegAddrMax = secondRegister
	}
	return append(exprs, n)
}

// decodeSNAT is the rule that has these expressions, if it is one of ours.
func decodeSNAT(exprs []expr.Any) (s plan.SNAT) {
	for _, x := range exprs {
		switch x := x.(type) {
		case *expr.Cmp:
			s.Interface, s.Family = named(x, s.Interface), familyOf(x, s.Family)
		case *expr.Immediate:
			a, _ := netip.AddrFromSlice(x.Data)
			if s.Last = a; x.Register == register {
				s.First = a
			}
		}
	}
	return s
}

// asRead is an expression without what the library does not read back: the
// register that a connection's mark is set from.
func asRead(x expr.Any) expr.Any {
	if ct, ok := x.(*expr.Ct); ok && ct.SourceRegister {
		return &expr.Ct{Key: ct.Key}
	}
	return x
}

// same tells whether two lists of expressions say the same to the kernel.
func same(a, b []expr.Any) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		x, errX := expr.Marshal(unix.NFPROTO_INET, asRead(a[k]))
		y, errY := expr.Marshal(unix.NFPROTO_INET, asRead(b[k]))
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}
