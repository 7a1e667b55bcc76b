// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everyPlan is the golden plans' policies on their hosts.
func everyPlan(t *testing.T) map[string]*Plan {
	t.Helper()
	plans := map[string]*Plan{}
	for name, host := range hosts {
		policy, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		plans[name] = host().make(t, string(policy), remembered[name])
	}
	return plans
}

func TestDiffOfAPlanThatIsHeldIsEmpty(t *testing.T) {
	for name, p := range everyPlan(t) {
		t.Run(name, func(t *testing.T) {
			have := holding(p)
			for i := range have.Rules { // what the kernel does not keep
				have.Rules[i] = have.Rules[i].Key()
			}
			for i := range have.Hooks {
				have.Hooks[i] = have.Hooks[i].key()
			}
			for i := range have.Routes {
				have.Routes[i].Down = true
			}
			slices.Reverse(have.Rules)
			slices.Reverse(have.Routes)
			if c := p.Diff(have); !c.Empty() {
				t.Errorf("it differs: %+v", c)
			}
		})
	}
}

// The fields that the kernel does not keep, or that are somebody's account of
// the others.
var notInTheKernel = map[string]string{
	"Rule.Rung": "a reason", "Rule.Why": "a reason", "Sysctl.Why": "a reason", "Hook.Why": "a reason",
	"Route.Down": "the kernel's own affair",
}

// TestDiffSeesEveryField changes every field of every rule, route, sysctl and
// hook of a plan, one at a time.
func TestDiffSeesEveryField(t *testing.T) {
	p := everyPlan(t)["design"]
	seen := map[string]bool{}
	for _, c := range []struct {
		name string
		list func(*Plan) reflect.Value
	}{
		{"Rule", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Rules) }},
		{"Route", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Routes) }},
		{"Sysctl", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Sysctls) }},
		{"SNAT", func(p *Plan) reflect.Value { return reflect.ValueOf(p.SNAT) }},
		{"Answer", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Answers) }},
		{"Hook", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Hooks) }},
	} {
		for i := range c.list(p).Len() {
			eachLeaf(c.name, func() (reflect.Value, func() bool) {
				changed := deepCopy(t, p)
				return c.list(changed).Index(i), func() bool { return !changed.Diff(holding(p)).Empty() }
			}, func(path string, differs bool) {
				_, exempt := notInTheKernel[path]
				seen[path] = true
				if differs == exempt {
					t.Errorf("%s of number %d: the diff shows the change: %v", path, i, differs)
				}
			})
		}
	}
	for path := range notInTheKernel {
		if !seen[path] {
			t.Errorf("there is no %s", path)
		}
	}
}

// The fields of a plan that the BPF maps do not hold.
var notInTheMaps = map[string]string{
	"Plan.Rules": "the kernel's", "Plan.SNAT": "nftables'", "Plan.Answers.Family": "nftables'", "Plan.Answers.Mask": "the instance's own", "Plan.Routes": "the kernel's", "Plan.Sysctls": "the kernel's", "Plan.Hooks": "links",
	"Plan.Waiting": "text", "Plan.Notes": "text", "Plan.Blocks": "in the rules", "Plan.Numbers": "the numbers are in Classes and Uplinks",
	"Plan.Uplinks.Interface": "its index is there", "Plan.Uplinks.Table": "in the rules", "Plan.Uplinks.Gateways": "in the routes",
	"Plan.Uplinks.Addresses": "in the rules", "Plan.Uplinks.Strict": "in the rules", "Plan.Uplinks.VRF": "its index is in the hook", "Plan.Uplinks.Withdrawn": "its flag is written at once, without the rest", "Plan.Uplinks.Probes": "in the rules",
	"Plan.Classes.Name": "its slot is there", "Plan.Classes.Mark": "its number and the mask are there", "Plan.Classes.Matches": "a count of Lines",
	"Plan.Classes.Route.Otherwise": "in the rules", "Plan.Classes.Route.Strict": "in the rules",
	"Plan.Lines.Text": "its account in words", "Plan.Lines.Pos": "its place in the policy",
}

// TestFingerprintSeesEveryField changes every field of a plan, one at a time:
// each is in the maps and in the fingerprint, or in neither.
func TestFingerprintSeesEveryField(t *testing.T) {
	p := everyPlan(t)["design"]
	p.Lines[0].Match.Sport, p.Lines[0].Match.Src, p.Lines[0].Match.IIF = p.Lines[3].Match.Dport, p.Lines[3].Match.Dst, p.Lines[3].Match.Dport
	exempt := func(path string) bool {
		for prefix := range notInTheMaps {
			if path == prefix || strings.HasPrefix(path, prefix+".") {
				return true
			}
		}
		return false
	}
	leaves := 0
	eachLeaf("Plan", func() (reflect.Value, func() bool) {
		changed := deepCopy(t, p)
		return reflect.ValueOf(changed).Elem(), func() bool { return changed.Fingerprint() != p.Fingerprint() }
	}, func(path string, differs bool) {
		leaves++
		if differs == exempt(path) {
			t.Errorf("%s: the fingerprint shows the change: %v", path, differs)
		}
	})
	if leaves < 100 {
		t.Errorf("%d fields were changed: too few to show anything", leaves)
	}
}

// TestFingerprintOfAFlap takes an uplink's link away: the maps hold that it
// cannot be used, and nothing else of it, so that they are filled again unless it
// is withdrawn already.
func TestFingerprintOfAFlap(t *testing.T) {
	for _, withdrawn := range []string{"", "its link went down"} {
		p := everyPlan(t)["design"]
		p.Uplinks[0].Withdrawn, p.Uplinks[0].Up = withdrawn, true
		plugged := p.Fingerprint()
		p.Uplinks[0].Up = false
		if same := p.Fingerprint() == plugged; same != (withdrawn != "") {
			t.Errorf("withdrawn %q: the fingerprint is the same without the link: %v", withdrawn, same)
		}
	}
}

// TestDiffIsInTheOrderOfWork compares the text of the changes from one plan
// to another: additions down the ladder, deletions up.
func TestDiffIsInTheOrderOfWork(t *testing.T) {
	h := twoUplinks()
	before := h.make(t, policyText(0xff, "one: [a]", "two: [b]"), Numbers{})
	after := h.make(t, policyText(0xff, "two: [b]", "three: [b, a]"), before.Numbers)
	have := holding(before)
	have.Sysctls[linkdown("ipv4", "eth0")] = "0"
	have.Hooks[0].Place = "/elsewhere"
	var text strings.Builder
	if err := after.Diff(have).Print(&text); err != nil {
		t.Fatal(err)
	}
	want := `+ ip -4 rule add priority 1020 from all fwmark 0x2/0xff lookup main suppress_prefixlength 0 protocol 119
+ ip -4 rule add priority 1021 from all fwmark 0x2/0xff lookup 7001 protocol 119
+ ip -4 rule add priority 1030 from all fwmark 0x3/0xff lookup main suppress_prefixlength 0 protocol 119
+ ip -4 rule add priority 1031 from all fwmark 0x3/0xff lookup 7001 protocol 119
+ ip -4 rule add priority 1032 from all fwmark 0x3/0xff lookup 7000 protocol 119
+ ip -6 rule add priority 1020 from all fwmark 0x2/0xff lookup main suppress_prefixlength 0 protocol 119
+ ip -6 rule add priority 1021 from all fwmark 0x2/0xff lookup 7001 protocol 119
+ ip -6 rule add priority 1030 from all fwmark 0x3/0xff lookup main suppress_prefixlength 0 protocol 119
+ ip -6 rule add priority 1031 from all fwmark 0x3/0xff lookup 7001 protocol 119
+ ip -6 rule add priority 1032 from all fwmark 0x3/0xff lookup 7000 protocol 119
~ sysctl -w net/ipv4/conf/eth0/ignore_routes_with_linkdown=1
~ classes and matches in the BPF maps
+ arm at tracepoint cgroup_mkdir
- arm at /elsewhere
- ip -6 rule del priority 1031 from all fwmark 0x2/0xff lookup 7001 protocol 119
- ip -6 rule del priority 1030 from all fwmark 0x2/0xff lookup main suppress_prefixlength 0 protocol 119
- ip -6 rule del priority 1021 from all fwmark 0x1/0xff lookup 7000 protocol 119
- ip -6 rule del priority 1020 from all fwmark 0x1/0xff lookup main suppress_prefixlength 0 protocol 119
- ip -4 rule del priority 1031 from all fwmark 0x2/0xff lookup 7001 protocol 119
- ip -4 rule del priority 1030 from all fwmark 0x2/0xff lookup main suppress_prefixlength 0 protocol 119
- ip -4 rule del priority 1021 from all fwmark 0x1/0xff lookup 7000 protocol 119
- ip -4 rule del priority 1020 from all fwmark 0x1/0xff lookup main suppress_prefixlength 0 protocol 119
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
