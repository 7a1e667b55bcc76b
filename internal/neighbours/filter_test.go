// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"strings"
	"testing"

	"waymark/internal/filters"
	"waymark/internal/plan"
)

const usual plan.Mask = 0xb7000000

// nftRules are rules in nft's JSON, as nft 1.0.6 printed them, each with the
// severity of what is found and a part of it; "" for nothing.
var nftCases = []struct {
	name, expr string
	severity   Severity
	says       string
}{
	{"sets the whole mark", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 5}}`, Serious, "sets mark 0x5/0xffffffff"},
	{"sets some bits, not ours", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"&": [{"meta": {"key": "mark"}}, 4294967040]}, 7]}}}`, Note, "sets mark 0x7/0xff"},
	{"sets some bits of ours", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"&": [{"meta": {"key": "mark"}}, 16777215]}, 2147483648]}}}`, Serious, "sets mark 0x80000000/0xff000000"},
	{"xors", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"^": [{"meta": {"key": "mark"}}, 1]}}}`, Note, "sets mark 0x1/0x1"},
	{"clears others' bits", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"&": [{"meta": {"key": "mark"}}, 255]}}}`, Serious, "0xffffff00"},
	{"sets by a map", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"map": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "data": {"set": [["1.2.3.4", 1]]}}}}}`, Serious, "0xffffffff"},
	{"restores whole", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"ct": {"key": "mark"}}}}`, Serious, "from the connection's, bits 0xffffffff"},
	{"restores under a mask, and clears the rest", `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"&": [{"ct": {"key": "mark"}}, 255]}}}`, Serious, "bits 0xffffffff"},
	{"saves", `{"mangle": {"key": {"ct": {"key": "mark"}}, "value": {"meta": {"key": "mark"}}}}`, Note, "overwrites the bits 0xb7000000 of connections' marks"},
	{"gives connections a mark", `{"mangle": {"key": {"ct": {"key": "mark"}}, "value": 3905}}`, Note, "bits 0xffffffff"},
	{"gives connections some bits, not ours", `{"mangle": {"key": {"ct": {"key": "mark"}}, "value": {"|": [{"&": [{"ct": {"key": "mark"}}, 4294967040]}, 7]}}}`, Note, "never changes them"},
	{"matches by a verdict map", `{"vmap": {"key": {"meta": {"key": "mark"}}, "data": {"set": [[16, {"drop": null}], [2147483649, {"accept": null}]]}}}`, Serious, "matches mark 0x80000001/0xffffffff"},
	{"matches a named set", `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": "@marks"}}`, Serious, "matches mark 0x90000000/0xffffffff"},
	{"matches a range", `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": {"range": [256, 511]}}}`, Warning, "matches mark 0x100/0xffffffff"},
	{"matches a whole mark", `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 9}}`, Warning, "matches mark 0x9/0xffffffff"},
	{"matches a whole mark with our bits", `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 268435465}}`, Serious, "0x10000009"},
	{"matches one of two", `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": {"set": [1, 2]}}}`, Warning, "matches mark 0x2/"},
	{"matches under a mask", `{"match": {"op": "==", "left": {"&": [{"meta": {"key": "mark"}}, 255]}, "right": 9}}`, Note, "matches mark 0x9/0xff"},
	{"matches an address", `{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "1.2.3.4"}}`, "", ""},
	{"accepts", `{"accept": null}`, "", ""},
}

func TestNft(t *testing.T) {
	for _, c := range nftCases {
		text := fmt.Sprintf(`{"nftables": [{"metainfo": {}}, {"set": {"family": "inet", "table": "x", "name": "marks", "elem": [1, 2415919104]}}, {"rule": {"family": "inet", "table": "x", "chain": "c", "handle": 7, "expr": [%s]}}]}`, c.expr)
		check(t, c.name, filterFindings(Host{Mask: usual, Nft: []byte(text)}), c.severity, c.says)
	}
}

func TestNftLeavesToIptablesWhatIsIts(t *testing.T) {
	text := []byte(`{"nftables": [{"rule": {"family": "ip", "table": "mangle", "chain": "OUTPUT", "handle": 2, "expr": [{"match": {"op": "!=", "left": {"meta": {"key": "mark"}}, "right": 1}}]}}]}`)
	for printed, want := range map[string]string{
		"*mangle\n-A OUTPUT -m mark ! --mark 0x1 -j ACCEPT\nCOMMIT\n":                                                               "iptables -t mangle -A OUTPUT",
		"# Table `mangle' is incompatible, use 'nft' tool.\n":                                                                       "nft rule of table ip mangle",
		"# Table `mangle' contains incompatible base-chains, use 'nft' tool to list them.\n*mangle\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n": "nft rule of table ip mangle",
	} {
		saved := []filters.Saved{{Command: "iptables", Text: printed}, {Command: "iptables-legacy", Text: "*mangle\n-A OUTPUT -j ACCEPT\n"}, {Command: "ip6tables", Text: "*mangle\n-A OUTPUT -j ACCEPT\n"}}
		if found := filterFindings(Host{Mask: usual, Nft: text, Iptables: saved}); len(found) != 1 || !strings.Contains(found[0].What, want) {
			t.Errorf("%q printed: %+v, want %s alone", printed, found, want)
		}
	}
	if found := filterFindings(Host{Mask: usual, Nft: text}); len(found) != 1 {
		t.Errorf("without iptables-save: %v, want one", found)
	}
}

var iptablesCases = []struct {
	name, rule string
	severity   Severity
	says       string
}{
	{"sets the whole mark", "-A OUTPUT -p tcp -j MARK --set-xmark 0x1/0xffffffff", Serious, "iptables -t mangle -D OUTPUT -p tcp -j MARK --set-xmark 0x1/0xffffffff"},
	{"says what a shell would obey", `-A OUTPUT -m comment --comment "it\'s \"a\" $(b)" -j MARK --set-xmark 0x1/0xffffffff`, Serious, `--comment 'it'\''s "a" $(b)' -j MARK`},
	{"sets others' bits", "-A OUTPUT -j MARK --set-xmark 0x100/0xf00", Note, "0xf00"},
	{"flips bits of ours", "-A OUTPUT -j MARK --set-xmark 0x10000000/0x0", Serious, "overwrites the bits 0x10000000"},
	{"a proxy's mark", "-A PREROUTING -p tcp -j TPROXY --on-port 99 --on-ip 0.0.0.0 --tproxy-mark 0x10000000/0x10000000", Serious, "overwrites the bits 0x10000000"},
	{"a proxy without a mark", "-A PREROUTING -p tcp -j TPROXY --on-port 99 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0", "", ""},
	{"a mark by a hash", "-A PREROUTING -j HMARK --hmark-src-prefix 32 --hmark-rnd 0x00000001 --hmark-mod 2 --hmark-offset 256", Serious, "overwrites the bits 0xb7000000"},
	{"matches whole", "-A OUTPUT -m mark ! --mark 0x1 -j ACCEPT", Warning, "0x1"},
	{"matches others' bits", "-A OUTPUT -m mark --mark 0x4000/0x4000 -j MASQUERADE", Note, "0x4000"},
	{"matches a connection's mark", "-A OUTPUT -m connmark --mark 0x1 -j ACCEPT", "", ""},
	{"restores whole", "-A OUTPUT -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", Serious, "the connection's mark"},
	{"restores others' bits", "-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", Note, "0xff"},
	{"saves", "-A PREROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", Note, "connections' marks"},
	{"saves others' bits", "-A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff", Note, "never changes them"},
	{"sets a connection's mark", "-A PREROUTING -j CONNMARK --set-xmark 0x1/0xffffffff", Note, "--ctmask 0x48ffffff"},
	{"is of a tool's chain", "-A ts-forward -j MARK --set-xmark 0x7/0xf", Note, "Tailscale"},
}

func TestIptables(t *testing.T) {
	for _, c := range iptablesCases {
		check(t, c.name, filterFindings(Host{Mask: usual, Iptables: []filters.Saved{{Command: "iptables", Text: "*mangle\n:OUTPUT ACCEPT [0:0]\n" + c.rule + "\nCOMMIT\n"}}}), c.severity, c.says)
	}
}

func check(t *testing.T, name string, found []Finding, severity Severity, says string) {
	t.Helper()
	if severity == "" {
		if len(found) != 0 {
			t.Errorf("%s: found %v, want nothing", name, found)
		}
		return
	}
	if len(found) == 0 {
		t.Errorf("%s: found nothing, want something %s", name, severity)
		return
	}
	last := found[len(found)-1]
	if last.Severity != severity || !strings.Contains(last.What+last.Owner+last.Why+last.Cure, says) {
		t.Errorf("%s: found %+v, want %s and %q in it", name, last, severity, says)
	}
}

func TestTranslation(t *testing.T) {
	host := func(forward, nat string) Host {
		h := Host{Mask: usual, Uplinks: []string{"eth0", "wwan0"}, Iptables: []filters.Saved{{Command: "iptables", Text: "*nat\n" + nat + "\nCOMMIT\n"}}}
		h.Facts.Sysctls = map[string]string{"net/ipv4/ip_forward": forward}
		return h
	}
	for nat, want := range map[string]int{
		"": 0, "-A POSTROUTING -j MASQUERADE": 0,
		"-A POSTROUTING -o eth0 -j MASQUERADE":                                               1,
		"-A POSTROUTING -o eth0 -j MASQUERADE\n-A POSTROUTING -o wwan0 -j SNAT --to 1.2.3.4": 0,
	} {
		if found := natFindings(host("1", nat)); len(found) != want {
			t.Errorf("%q: found %v, want %d", nat, found, want)
		}
	}
	if found := natFindings(host("0", "-A POSTROUTING -o eth0 -j MASQUERADE")); len(found) != 0 {
		t.Errorf("a host that forwards nothing: found %v", found)
	}
}

func FuzzNft(f *testing.F) {
	for _, c := range nftCases {
		f.Add([]byte(`{"nftables": [{"rule": {"family": "ip", "table": "x", "chain": "c", "handle": 7, "expr": [` + c.expr + `]}}]}`))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := Host{Mask: usual, Nft: text, Uplinks: []string{"a", "b"}}
		h.Facts.Sysctls = map[string]string{"net/ipv4/ip_forward": "1"}
		filterFindings(h)
		natFindings(h)
	})
}

func FuzzIptables(f *testing.F) {
	for _, c := range iptablesCases {
		f.Add("*mangle\n" + c.rule + "\nCOMMIT\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := Host{Mask: usual, Iptables: []filters.Saved{{Command: "iptables", Text: text}}, Uplinks: []string{"a", "b"}}
		h.Facts.Sysctls = map[string]string{"net/ipv4/ip_forward": "1"}
		filterFindings(h)
		natFindings(h)
	})
}

// TestWhatComesIn has filters restore the mark of what comes in, as wg-quick has one
// for its tunnel's packets: on a host that forwards nothing, none of it has a class.
func TestWhatComesIn(t *testing.T) {
	nft := Host{Mask: usual, Nft: []byte(`{"nftables": [{"chain": {"family": "ip", "table": "wg-quick-wg0", "name": "premangle", "type": "filter", "hook": "prerouting", "prio": -150}},
		{"rule": {"family": "ip", "table": "wg-quick-wg0", "chain": "premangle", "handle": 6, "expr": [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"ct": {"key": "mark"}}}}]}}]}`)}
	iptables := Host{Mask: usual, Iptables: []filters.Saved{{Command: "iptables", Text: "*mangle\n-A PREROUTING -j CONNMARK --restore-mark\nCOMMIT\n"}}}
	for name, h := range map[string]Host{"nft": nft, "iptables": iptables} {
		for forwards, want := range map[string]Severity{"0": Warning, "1": Serious} {
			h.Facts.Sysctls = map[string]string{plan.ForwardingNames[plan.IPv4]: forwards}
			check(t, name+", forwarding "+forwards, filterFindings(h), want, "the connection's mark")
		}
	}
}
