// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"bytes"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"waymark/internal/plan"
)

// IP_CT_DIR_ORIGINAL and IP_CT_DIR_REPLY of linux/netfilter/nf_conntrack_tuple_common.h.
const original, reply = 0, 1

func number(n uint32) []byte { return binaryutil.NativeEndian.PutUint32(n) }

// direction compares the packet's, of its connection.
func direction(d byte) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{d}},
	}
}

// masked is a mark with the answer's number in place of the bits that are ours.
func masked(a plan.Answer) *expr.Bitwise {
	return &expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: number(^a.Mask), Xor: number(a.Mark)}
}

// comes marks a connection with each packet of who began it: should these come
// in by another uplink, the answers follow.
func comes(a plan.Answer) []expr.Any {
	exprs := append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: interfaceName(a.Interface)},
	}, family(a.Family)...)
	return append(append(exprs, direction(original)...),
		&expr.Ct{Key: expr.CtKeyMARK, Register: register},
		masked(a),
		&expr.Ct{Key: expr.CtKeyMARK, Register: register, SourceRegister: true},
	)
}

// goes marks its answers.
func goes(a plan.Answer) []expr.Any {
	exprs := append([]expr.Any{
		&expr.Ct{Key: expr.CtKeyMARK, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: number(a.Mask), Xor: number(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: number(a.Mark)},
	}, family(a.Family)...)
	return append(append(exprs, direction(reply)...),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: register},
		masked(a),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: register, SourceRegister: true},
	)
}

// decodeAnswer is what comes would have made these expressions of, if it did.
func decodeAnswer(exprs []expr.Any) (a plan.Answer) {
	for _, x := range exprs {
		switch x := x.(type) {
		case *expr.Cmp:
			a.Interface, a.Family = named(x, a.Interface), familyOf(x, a.Family)
		case *expr.Bitwise:
			if len(x.Mask) == 4 && len(x.Xor) == 4 {
				a.Mask, a.Mark = ^binaryutil.NativeEndian.Uint32(x.Mask), binaryutil.NativeEndian.Uint32(x.Xor)
			}
		}
	}
	return a
}

// named is the interface that is compared, or else what was known before.
func named(x *expr.Cmp, before string) string {
	if len(x.Data) != 16 {
		return before
	}
	name, _, _ := bytes.Cut(x.Data, []byte{0})
	return string(name)
}

// familyOf is the family that is compared, or else what was known before.
func familyOf(x *expr.Cmp, before plan.Family) plan.Family {
	for f, number := range protocols {
		if len(x.Data) == 1 && x.Data[0] == number {
			return f
		}
	}
	return before
}
