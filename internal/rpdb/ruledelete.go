// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// DeleteRule removes a rule, and that one only. A rule that is not there
// is no error. Rules of another protocol are refused.
func (h *Handle) DeleteRule(r plan.Rule) error {
	if err := checkRule(r); err != nil {
		return fmt.Errorf("delete rule %s: %w", r.Args(), err)
	}
	if err := h.deleteExactly(r); err != nil {
		return fmt.Errorf("delete rule %s: %w", r.Args(), err)
	}
	return nil
}

// deleteExactly removes every copy of a rule. To the kernel a selector that
// a deletion leaves out means "any", so the first rule that fits may be
// another one. Such a rule is first added again behind: whatever moment a
// packet comes, one of its two copies stands.
func (h *Handle) deleteExactly(r plan.Rule) error {
	rules, err := h.rulesOf(r.Family)
	if err != nil {
		return err
	}
	copies := 0
	for _, o := range rules {
		if o.Key() == r.Key() {
			copies++
		}
	}
	for _, o := range rules {
		if copies == 0 {
			return nil
		}
		if !fits(r, o) {
			continue
		}
		if o.Key() == r.Key() {
			copies--
		} else if err := h.repeat(o); err != nil {
			return err
		}
		if err := h.deleteFirst(r); err != nil {
			return err
		}
	}
	return nil
}

// fits tells whether the kernel's search for the rule r to delete would
// stop at o (fib_rules.c, rule_find; the family's compare).
func fits(r, o plan.Rule) bool {
	return o.Protocol == r.Protocol && o.Priority == r.Priority && o.Action == r.Action &&
		(r.Table == 0 || o.Table == r.Table) &&
		(r.Mark == 0 || o.Mark == r.Mark) &&
		(r.Mask == 0 || o.Mask == r.Mask) &&
		(!r.Suppress || o.Suppress) &&
		(r.OIF == "" || o.OIF == r.OIF) &&
		(!r.From.IsValid() || o.From == r.From)
}

// repeat adds a second copy of a rule of our protocol.
func (h *Handle) repeat(o plan.Rule) error {
	if err := checkRule(o); err != nil {
		return fmt.Errorf("the kernel would delete %s in its place: %w: delete that one by hand", o, err)
	}
	return h.newRule(o, 0)
}

func (h *Handle) deleteFirst(r plan.Rule) error {
	_, err := h.change(unix.RTM_DELRULE, unix.NLM_F_ACK, encodeRule(r))
	if errors.Is(err, unix.ENOENT) {
		return nil // somebody was quicker
	}
	return err
}
