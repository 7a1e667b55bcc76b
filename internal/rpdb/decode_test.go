// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/hex"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"waymark/internal/plan"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	return must(hex.DecodeString(s))(t)
}

// recordedRules are bodies of RTM_NEWRULE as Linux 6.18 sent them on a
// little-endian machine, and their words.
var recordedRules = map[string]string{
	"02000000ff0000010000000008000f00ff00000008000e00ffffffff0500150002000000":                                                                                                         "ip -4 rule add priority 0 from all lookup local protocol 2",
	"02001800fc0000010000000008000f00a086010008000e00ffffffff050015007700000008000600e803000008001000000000b708000200c0000200":                                                         "ip -4 rule add priority 1000 from 192.0.2.0/24 fwmark 0x0/0xb7000000 lookup 100000 protocol 119",
	"0a008000000000070000000008000f000000000008000e00ffffffff050015007700000008000600e903000008000a000000008108001000000000b71400020020010db8000000000000000000000001":                 "ip -6 rule add priority 1001 from 2001:db8::1 fwmark 0x81000000/0xb7000000 unreachable protocol 119",
	"02000000fe0000010000000008000f00fe00000008000e0000000000050015007700000008000600ea030000":                                                                                         "ip -4 rule add priority 1002 from all lookup main suppress_prefixlength 0 protocol 119",
	"02080010070000010200000008000f000700000008000e00ffffffff0500150000000000060003006100000008000600eb0300000c001400e8030000cf07000008001800350036000500160011000000080001000a000000": "ip -4 rule add priority 1003 from all not to 10.0.0.0/8 tos 0x10 iif a uidrange 1000-1999 ipproto 17 dport 53-54 lookup 7 protocol 0",
	"020000000000000600000000080006c0e8030000": "ip -4 rule add priority 1000 from all blackhole protocol 0", // with NLA_F_ flags
	"02000000000000040000000008006300aabbccdd": "ip -4 rule add priority 0 from all attribute-99 0xaabbccdd action 4 protocol 0",
}

func TestRecordedRulesDecode(t *testing.T) {
	for recorded, want := range recordedRules {
		if got := must(decodeRule(unhex(t, recorded)))(t).String(); got != want {
			t.Errorf("decoded %q, want %q", got, want)
		}
	}
}

func TestBrokenRulesAreErrors(t *testing.T) {
	const head, narrow = "020000000000000100000000", "020018000000000100000000"
	must(decodeRule(unhex(t, head)))(t) // sound as far as it goes
	for name, broken := range map[string]string{
		"empty":                    "",
		"half a header":            head[:10],
		"attribute too short":      head + "0300",
		"attribute length 0":       head + "00000600",
		"attribute past the end":   head + "0c000600e8030000",
		"priority of two bytes":    head + "06000600e8030000",
		"address of five bytes":    narrow + "09000200c000020100000000",
		"source without address":   narrow,
		"prefix longer than it is": "0200210000000001000000000800020001020304",
	} {
		if r, err := decodeRule(unhex(t, broken)); err == nil {
			t.Errorf("%s: decoded %s", name, r)
		}
	}
}

func TestRulesSurviveEncoding(t *testing.T) {
	for _, want := range randomRules(4, 200) {
		if err := checkRule(want); err != nil {
			t.Fatal(err)
		}
		if got := must(decodeRule(encodeRule(want)))(t); got != want {
			t.Errorf("decoded %s, want %s", got, want)
		}
	}
}

func FuzzDecodeRule(f *testing.F) {
	for recorded := range recordedRules {
		f.Add(unhex(f, recorded))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRule(b)
		if err != nil {
			if r != (plan.Rule{}) {
				t.Errorf("an error and a rule: %s", r)
			}
			return
		}
		if checkRule(r) != nil {
			return // not one that Waymark writes
		}
		if again, err := decodeRule(encodeRule(r)); err != nil || again != r {
			t.Errorf("%s came back as %s: %v", r, again, err)
		}
	})
}

const (
	recordedMultipath = "02000000647700010000000008000f00640000000800060005000000240009001000000203000000080005000a0001011000000005000000080005000a000201"
	recordedIPv6      = "0a300000647700010000000008000f00640000001400010020010db80005000000000000000000001400070020010db8000100000000000000000002080006000004000014000500fe800000000000000000000000000001080004000300000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000"
)

func TestRecordedRoutesDecode(t *testing.T) {
	for recorded, want := range map[string]route{
		recordedMultipath: {
			Route: plan.Route{Family: plan.IPv4, Table: 100, Dst: plan.IPv4.Default(), Metric: 5, Protocol: 119},
			hops:  []hop{{index: 3, gateway: addr("10.0.1.1"), weight: 3}, {index: 5, gateway: addr("10.0.2.1"), weight: 1}},
			kind:  1,
		},
		recordedIPv6: {
			Route: plan.Route{Family: plan.IPv6, Table: 100, Dst: prefix("2001:db8:5::/48"), Source: addr("2001:db8:1::2"), Metric: 1024, Protocol: 119},
			hops:  []hop{{index: 3, gateway: addr("fe80::1"), weight: 1}},
			kind:  1,
		},
	} {
		got := must(decodeRoute(unhex(t, recorded)))(t)
		if diff := gocmp.Diff(want, got, comparePrefix, compareAddr, gocmp.AllowUnexported(route{}, hop{})); diff != "" {
			t.Errorf("want (-) got (+):\n%s", diff)
		}
	}
}

func FuzzDecodeRoute(f *testing.F) {
	f.Add(unhex(f, recordedMultipath))
	f.Add(unhex(f, recordedIPv6))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRoute(b)
		if err == nil && r.Family != 0 && !r.Dst.IsValid() {
			t.Errorf("no destination and no error: %+v", r)
		}
	})
}

func FuzzDecodeNexthop(f *testing.F) {
	f.Add(unhex(f, "020000000000000008000100010000000800050003000000080006000a000101"))
	f.Add(unhex(f, "000000000000000008000100030000001400020001000000020000000200000000000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeNexthop(b)
		if err == nil && len(n.group)*members > len(b) {
			t.Errorf("%d members in %d bytes", len(n.group), len(b))
		}
	})
}
