// SPDX-License-Identifier: Apache-2.0

// Package neighbours finds what else on a host touches marks, rules, tables
// and filters, and what of that would hurt. Pure.
package neighbours

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Severity is how much a finding matters.
type Severity string

// The severities. Serious: traffic goes a wrong way, or will once a policy is
// applied. Warning: it will in some cases, which are named. Note: good to know.
const (
	Serious Severity = "serious"
	Warning Severity = "warning"
	Note    Severity = "note"
)

var order = map[Severity]int{Serious: 0, Warning: 1, Note: 2}

// Finding is one thing on a host that matters to Waymark.
type Finding struct {
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Owner    string   `json:"owner"` // the tool that it is of, as far as it can be told; "": nobody knows
	Why      string   `json:"why"`   // why it hurts
	Cure     string   `json:"cure"`  // the command or line that changes it; "": nothing has to be done
}

// Proposal is what a policy on a host had best begin with.
type Proposal struct {
	Mask   string `json:"mask"`   // "": somebody uses every bit of the fwmark
	Rules  int    `json:"rules"`  // base priority
	Tables int    `json:"tables"` // first table
}

// Report is all that was found, the worst first.
type Report struct {
	Findings []Finding `json:"findings"`
	Proposal Proposal  `json:"proposal"`
	Unseen   []string  `json:"unseen"` // what could not be looked at, and why, in sentences
}

// Serious tells whether anything in the report is.
func (r Report) Serious() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Serious })
}

// AtLeast are the findings of a severity or a worse one.
func (r Report) AtLeast(s Severity) []Finding {
	k := slices.IndexFunc(r.Findings, func(f Finding) bool { return order[f.Severity] > order[s] })
	if k < 0 {
		return r.Findings
	}
	return r.Findings[:k]
}

// Print writes the report for people.
func (r Report) Print(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s: %s", f.Severity, f.What)
		if f.Owner != "" {
			fmt.Fprintf(&b, " (%s)", f.Owner)
		}
		fmt.Fprintf(&b, "\n  why: %s\n", f.Why)
		if f.Cure != "" {
			fmt.Fprintf(&b, "  cure: %s\n", f.Cure)
		}
		b.WriteString("\n")
	}
	for _, u := range r.Unseen {
		fmt.Fprintf(&b, "not looked at: %s\n", u)
	}
	switch {
	case len(r.Findings) > 0:
	case len(r.Unseen) > 0:
		b.WriteString("nothing that was looked at is in Waymark's way\n")
	default:
		b.WriteString("nothing on this host is in Waymark's way\n")
	}
	mask := ""
	if r.Proposal.Mask == "" {
		b.WriteString("every bit of the fwmark is used by somebody here, and a class needs one\n")
	} else {
		mask = fmt.Sprintf("`mark: {mask: %s}`, ", r.Proposal.Mask)
	}
	fmt.Fprintf(&b, "nobody here uses %s`rules: {base: %d}`, `tables: {base: %d}`\n", mask, r.Proposal.Rules, r.Proposal.Tables)
	_, err := io.WriteString(w, b.String())
	return err
}

func sorted(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(order[a.Severity], order[b.Severity]) })
	return slices.Compact(findings)
}
