// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

var ruleGroups = map[plan.Family]int{plan.IPv4: unix.RTNLGRP_IPV4_RULE, plan.IPv6: unix.RTNLGRP_IPV6_RULE}

// Rules returns every rule of both families in the kernel's order, IPv4
// first. What plan.Rule has no field for is worded in Other. It is all
// rules or an error, never a part.
func (h *Handle) Rules() ([]plan.Rule, error) {
	var all []plan.Rule
	for _, f := range plan.Families {
		rules, err := h.rulesOf(f)
		if err != nil {
			return nil, fmt.Errorf("read %s rules: %w", f, err)
		}
		all = append(all, rules...)
	}
	return all, nil
}

func (h *Handle) rulesOf(f plan.Family) ([]plan.Rule, error) {
	msgs, err := h.dump(dump{
		kind:   unix.RTM_GETRULE,
		answer: unix.RTM_NEWRULE,
		body:   newMessage(unix.RtMsg{Family: number(f)}),
		group:  ruleGroups[f],
	})
	if err != nil {
		return nil, err
	}
	rules := make([]plan.Rule, len(msgs))
	for i, m := range msgs {
		if rules[i], err = decodeRule(m); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// AddRule adds a rule behind those of the same priority. A rule that is
// already there is left as it is. Rules of another protocol, and rules that
// Rules would not read back equal, are refused.
func (h *Handle) AddRule(r plan.Rule) error {
	if err := checkRule(r); err != nil {
		return fmt.Errorf("add rule %s: %w", r.Args(), err)
	}
	err := h.newRule(r, unix.NLM_F_EXCL)
	if errors.Is(err, unix.EEXIST) {
		err = h.addBeside(r)
	}
	if err != nil {
		return fmt.Errorf("add rule %s: %w", r.Args(), err)
	}
	return nil
}

// addBeside adds a rule that the kernel says exists. The kernel takes
// "from all" for every source when it looks for an equal, so the rule it
// found may be another one; without NLM_F_EXCL it does not look.
func (h *Handle) addBeside(r plan.Rule) error {
	rules, err := h.rulesOf(r.Family)
	if err != nil {
		return err
	}
	for _, o := range rules {
		if o.Key() == r.Key() {
			return nil
		}
	}
	return h.newRule(r, 0)
}

func (h *Handle) newRule(r plan.Rule, flags int) error {
	_, err := h.change(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_ACK|flags, encodeRule(r))
	return err
}
