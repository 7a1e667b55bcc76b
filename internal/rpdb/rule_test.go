// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

var comparePrefix = gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
var compareAddr = gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// randomRule draws from so few values that rules share priorities and
// differ in one selector only.
func randomRule(r *rand.Rand) plan.Rule {
	rule := plan.Rule{
		Family:   plan.Families[r.IntN(2)],
		Priority: uint32(1000 + r.IntN(4)),
		Protocol: plan.Protocol,
		Action:   []plan.Action{plan.Lookup, plan.Lookup, plan.Unreachable, plan.Prohibit, plan.Blackhole}[r.IntN(5)],
	}
	if r.IntN(2) == 0 {
		rule.From = map[plan.Family][]netip.Prefix{
			plan.IPv4: {netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.0.0/16")},
			plan.IPv6: {netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("2001:db8::/32")},
		}[rule.Family][r.IntN(2)]
	}
	if r.IntN(3) > 0 {
		rule.Mask = []uint32{0xb7000000, 0xff}[r.IntN(2)]
		rule.Mark = []uint32{0, 0x81000001, 0x01000002}[r.IntN(3)] & rule.Mask
	}
	if rule.Action == plan.Lookup {
		rule.Table = []uint32{100, 254, 1 << 20, 0xfffffff0}[r.IntN(4)]
		rule.Suppress = r.IntN(3) == 0
	}
	return rule
}

func randomRules(seed uint64, n int) []plan.Rule {
	r := rand.New(rand.NewPCG(seed, 0))
	var rules []plan.Rule
	for len(rules) < n {
		if rule := randomRule(r); !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	return rules
}

func byFamilyAndPriority(a, b plan.Rule) int {
	return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Priority, b.Priority))
}

func byText(a, b plan.Rule) int { return strings.Compare(a.String(), b.String()) }

func ofProtocol(rules []plan.Rule, ours bool) []plan.Rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r plan.Rule) bool { return (r.Protocol == plan.Protocol) != ours })
}

func TestAddedRulesReadBackEqualInOrder(t *testing.T) {
	h := namespace(t)
	rules := randomRules(1, 150)
	for range 2 { // the second round finds all of them there
		for _, r := range rules {
			if err := h.AddRule(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.SortStableFunc(rules, byFamilyAndPriority)
	got := ofProtocol(must(h.Rules())(t), true)
	if diff := gocmp.Diff(rules, got, comparePrefix); diff != "" {
		t.Errorf("added rules (-) differ from those read (+):\n%s", diff)
	}
}

func TestDeleteRuleRemovesThatRuleOnly(t *testing.T) {
	h := namespace(t)
	before := must(h.Rules())(t)
	rules := randomRules(2, 60)
	for _, r := range rules {
		foreign := r
		foreign.Protocol = 4
		if err := errors.Join(h.AddRule(r), h.newRule(foreign, 0)); err != nil {
			t.Fatal(err)
		}
	}
	foreign := ofProtocol(must(h.Rules())(t), false)
	if len(foreign) != len(rules)+len(before) {
		t.Fatalf("%d foreign rules, want %d", len(foreign), len(rules)+len(before))
	}
	for len(rules) > 0 {
		for range 2 { // the second finds it gone
			if err := h.DeleteRule(rules[0]); err != nil {
				t.Fatal(err)
			}
		}
		rules = rules[1:]
		now := must(h.Rules())(t)
		if diff := gocmp.Diff(rules, ofProtocol(now, true), comparePrefix, cmpopts.SortSlices(byTextLess), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("our rules after a deletion, want (-) got (+):\n%s", diff)
		}
		if diff := gocmp.Diff(foreign, ofProtocol(now, false), comparePrefix); diff != "" {
			t.Fatalf("other people's rules changed, want (-) got (+):\n%s", diff)
		}
	}
}

func byTextLess(a, b plan.Rule) bool { return byText(a, b) < 0 }

// To the kernel, deleting the last of these would be deleting the first.
func TestDeleteRuleSparesNarrowerOnes(t *testing.T) {
	h := namespace(t)
	broad := plan.Rule{Family: plan.IPv4, Priority: 1000, Action: plan.Lookup, Table: 100, Protocol: plan.Protocol}
	source, mark, suppress := broad, broad, broad
	source.From = prefix("192.0.2.0/24")
	mark.Mark, mark.Mask = 1, 0xff
	suppress.Suppress = true
	narrow := []plan.Rule{source, mark, suppress}
	for _, r := range append(narrow, broad) {
		if err := h.AddRule(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.DeleteRule(broad); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(narrow, ofProtocol(must(h.Rules())(t), true), comparePrefix); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}

func TestDeleteRuleRemovesEveryCopy(t *testing.T) {
	h := namespace(t)
	r := randomRules(3, 1)[0]
	for range 3 {
		if err := h.newRule(r, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.DeleteRule(r); err != nil {
		t.Fatal(err)
	}
	if left := ofProtocol(must(h.Rules())(t), true); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKernelMatchesProtocolOnRuleDeletion(t *testing.T) {
	h := namespace(t)
	for _, f := range plan.Families {
		ours := plan.Rule{Family: f, Priority: 1000, Action: plan.Lookup, Table: 100, Protocol: plan.Protocol}
		theirs := ours
		theirs.Protocol = 4
		if err := h.newRule(theirs, 0); err != nil {
			t.Fatal(err)
		}
		_, err := h.change(unix.RTM_DELRULE, unix.NLM_F_ACK, encodeRule(ours))
		if !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s: deleting somebody else's rule with our protocol: %v, want ENOENT", f, err)
		}
	}
}

// rulesOfOthers are ip(8) words, each the words that Rules must give back.
var rulesOfOthers = []string{
	"from all fwmark 0x80000/0xff0000 not lookup 52",
	"from 192.0.2.0/24 to 198.51.100.0/24 tos 0x10 lookup main",
	"from all to 198.51.100.7/32 iif a oif b prohibit",
	"from all uidrange 1000-1999 ipproto 17 sport 53 dport 8000-8100 lookup 53",
	"from all lookup main suppress_prefixlength 0",
	"from all suppress_prefixlength 8 lookup 54",
	"from all suppress_ifgroup 3 lookup 54",
	"from all tun_id 42 blackhole",
	"from all realms 3/4 unreachable",
	"from all goto 32766",
	"from all nop",
	"from all fwmark 0x0/0x10 l3mdev",
	"from 10.0.0.0/8 fwmark 0x5/0xffffffff lookup 4000000000",
}

func TestOtherPeoplesRulesKeepTheirWords(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8)")
	}
	h := namespace(t)
	for _, words := range rulesOfOthers {
		got := readByWords(t, h, words)
		if want := "priority 1000 " + words + " protocol 0"; got != want {
			t.Errorf("ip rule add priority 1000 %s\nreads back as %s", words, got)
		}
	}
}

// readByWords adds a rule by ip(8), reads it and deletes it.
func readByWords(t *testing.T, h *Handle, words string) string {
	t.Helper()
	ip := func(verb string) {
		t.Helper()
		args := append([]string{"rule", verb, "priority", "1000"}, strings.Fields(words)...)
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	ip("add")
	defer ip("del")
	rules := must(h.Rules())(t)
	i := slices.IndexFunc(rules, func(r plan.Rule) bool { return r.Priority == 1000 })
	if i < 0 {
		t.Fatalf("ip rule add %s: no such rule read", words)
	}
	return rules[i].Args()
}
