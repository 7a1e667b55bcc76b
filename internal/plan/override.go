// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"waymark/classes"
)

// Override gives traffic another class than the policy says, until it is
// taken back.
type Override struct {
	Subject string        `json:"subject"`        // what is moved, as it was asked for
	Match   classes.Match `json:"match"`          // of a cgroup or a user; zero when From is given
	From    string        `json:"from,omitempty"` // name of a class that is moved whole
	To      string        `json:"class"`          // name of a class, or classes.Unclassed
	Source  string        `json:"-"`              // who says so, in words, in place of a position
	pos     classes.Position
}

// Undo is the command that takes the override back, as a shell reads it.
func (o Override) Undo() string {
	word := o.Subject
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_@%+=:,./-", r)
	}
	if strings.ContainsFunc(word, odd) {
		word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	if strings.HasPrefix(o.Subject, "-") {
		word = "-- " + word
	}
	return "waymark move --undo " + word
}

// override puts the moves before all lines: the policy's, then those that
// were asked for since. A later one wins; one of a whole class takes what
// earlier ones have put there too.
func (m *maker) override(overrides []Override, problems *classes.Problems) error {
	var all []Override
	for _, p := range m.policy.Moves {
		all = append(all, Override{Subject: p.Subject(), Match: p.Match, From: p.From, To: p.To, pos: p.Pos})
	}
	for _, o := range overrides {
		o.pos = classes.Position{File: o.Source}
		all = append(all, o)
	}
	for _, o := range all {
		to, err := m.classNamed(o, o.To)
		if err != nil {
			return err
		}
		text := "move " + o.Subject
		if o.From == "" {
			line := Line{Class: to, Text: Words{note: text}, Pos: o.pos, Match: m.match(&o.Match, problems), Containers: m.named(&o.Match)}
			m.plan.Lines = slices.Insert(m.plan.Lines, 0, line)
			continue
		}
		from, err := m.classNamed(o, o.From)
		if err != nil {
			return err
		}
		for i := range m.plan.Lines {
			if l := &m.plan.Lines[i]; l.Class == from {
				l.Class, l.Text.note = to, text+": "+l.Text.note
			}
		}
	}
	return nil
}

// classNamed is the index of a class that an override names.
func (m *maker) classNamed(o Override, name string) (int, error) {
	if name == classes.Unclassed && name == o.To {
		return NoClass, nil
	}
	i := slices.IndexFunc(m.policy.Classes, func(c classes.Class) bool { return c.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("move %s to %s: the policy has no class %s any more: put the class back, or take the move back with `%s`",
			o.Subject, o.To, name, o.Undo())
	}
	return i, nil
}
