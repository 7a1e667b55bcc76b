// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/plan"
)

// TestPassed has rules of others lead some destinations, before Waymark's and behind,
// or say what Waymark's do.
func TestPassed(t *testing.T) {
	rule := func(priority, table uint32, other string) plan.Rule {
		return plan.Rule{Family: plan.IPv4, Priority: priority, Action: plan.Lookup, Table: table, Other: other}
	}
	suppressed := rule(999, 52, "")
	suppressed.Suppress = true
	of := func(from string) plan.Rule {
		r := rule(5270, 52, "")
		r.From = netip.MustParsePrefix(from)
		return r
	}
	quick := rule(32764, plan.TableMain, "")
	quick.Suppress = true
	early := quick
	early.Priority = 998
	const base, first = "rules: {base: ", "`ip -4 rule add priority 999 from all "
	for name, c := range map[string]struct {
		rules []plan.Rule
		cures []string
	}{
		"Tailscale's":               {[]plan.Rule{rule(5270, 52, "")}, []string{base + "6000}"}},
		"where there is no room":    {[]plan.Rule{rule(32765, 52, "")}, []string{first + "lookup 52 suppress_prefixlength 0"}},
		"of one destination":        {[]plan.Rule{rule(32765, 52, "to 100.64.0.0/10")}, []string{first + "to 100.64.0.0/10 lookup 52"}},
		"wg-quick's":                {[]plan.Rule{quick}, []string{"PostDown = waymark apply"}},
		"wg-quick's, before ours":   {[]plan.Rule{early}, nil},
		"strongSwan's":              {[]plan.Rule{rule(220, 220, "")}, nil},
		"with the cure":             {[]plan.Rule{suppressed, rule(5270, 52, "")}, nil},
		"of a source":               {[]plan.Rule{of("10.0.0.2/32")}, nil},
		"of what else comes in":     {[]plan.Rule{rule(5270, 52, "iif eth0")}, nil},
		"that knows nothing":        {[]plan.Rule{rule(5270, 53, "")}, nil},
		"that knows what main does": {[]plan.Rule{rule(5270, 54, "")}, nil},
	} {
		h := Host{Plan: &plan.Plan{Rules: []plan.Rule{{Family: plan.IPv4, Priority: 1000, Protocol: plan.Protocol}}}}
		h.Facts.Rules = c.rules
		for table, prefix := range map[uint32]string{52: "100.64.0.2/32", 54: "192.0.2.0/24", 220: "198.51.100.0/24", plan.TableMain: "192.0.2.0/24"} {
			h.Facts.Routes = append(h.Facts.Routes, plan.Route{Family: plan.IPv4, Table: table, Dst: netip.MustParsePrefix(prefix), Hops: []plan.NextHop{{Interface: "tun0"}}})
		}
		h.free = Free(h)
		var found []Finding
		for _, f := range ruleFindings(h) {
			if f.Severity == Warning {
				found = append(found, f)
			}
		}
		if len(found) != len(c.cures) {
			t.Errorf("%s: found %+v, want %q", name, found, c.cures)
			continue
		}
		for k, want := range c.cures {
			if !strings.Contains(found[k].Cure, want) {
				t.Errorf("%s: cure %q, want %q", name, found[k].Cure, want)
			}
		}
	}
}
