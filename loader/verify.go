// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
	"waymark/internal/verify"
)

// Verified is a policy that was held against the kernel.
type Verified struct {
	Checks     []verify.Check
	Plan       *plan.Plan
	Facts      plan.Facts
	CgroupRoot string // that the programs are attached to
}

// Verify holds the kernel against a policy: that it has all of the plan and
// nobody's rules before it, and, for a flow of every match in both families,
// that the kernel's route for its class is the plan's, and the policy's; and
// where the rules and routes that the kernel has lead each class when uplinks
// are down. Its cgroups are those below the root that was applied, unless the
// loader was given one.
// Nothing is changed and nothing sent.
func (l *Loader) Verify(policy *classes.Policy) (*Verified, error) {
	state, err := l.State()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("verify: nothing is applied: run `waymark apply` first: %w", err)
	}
	if err == nil && l.options.CgroupRoot == "" {
		err = l.at(state.CgroupRoot)
	}
	if err != nil {
		return nil, err
	}
	w, err := l.survey(wanted{policy: policy, looks: true})
	if err != nil {
		return nil, err
	}
	defer w.close()
	v := &Verified{Plan: w.plan, Facts: w.facts, CgroupRoot: l.root}
	v.Checks = verify.Structures(w.plan, w.facts, w.changes, w.conflict)
	for _, s := range verify.Samples(w.plan) {
		c, verdict := s.Resolve(w.plan, w.facts)
		if s.Lost == nil {
			if err := l.lookUp(w, s, verdict, &c); err != nil {
				return nil, err
			}
		}
		v.Checks = append(v.Checks, c)
	}
	holds := *w.plan
	holds.Rules, holds.Routes = w.have.Rules, w.have.Routes
	v.Checks = append(v.Checks, verify.Failures(&holds, w.facts)...)
	return v, nil
}

// lookUp asks the kernel for the route of a sample's flow. It is not asked
// about packets that are forwarded, or come from elsewhere.
func (l *Loader) lookUp(w *survey, s verify.Sample, verdict plan.Verdict, c *verify.Check) error {
	q := rpdb.Query{Dst: s.Flow.Dst, Mark: s.Mark(w.plan), UID: s.Flow.UID}
	if verify.HasSocket(s.Flow.Proto) {
		q.Proto, q.Sport, q.Dport = uint8(s.Flow.Proto), uint16(s.Flow.Sport), uint16(s.Flow.Dport)
	}
	if !s.Flow.Src.IsUnspecified() {
		if q.Src = s.Flow.Src; !slices.Contains(w.facts.Own, q.Src) {
			c.Answer = "not asked of the kernel: the source is not this host's"
			return nil
		}
	}
	if s.Flow.IIF != 0 {
		c.Answer = "not asked of the kernel: it is forwarded"
		return nil
	}
	answer, err := l.rules.Lookup(q)
	if err != nil {
		return err
	}
	c.Answer = way(answer)
	if len(otherWays(verdict, answer)) > 0 { // by another table it may be the same
		c.Wrong = append(c.Wrong, differences(verdict, answer)...)
	}
	return nil
}

func way(a rpdb.Answer) string {
	if a.Err != "" {
		return a.Err
	}
	return fmt.Sprintf("%s dev %s from %s, table %s", text(a.Gateway), a.Interface, a.Source, plan.TableName(a.Table))
}
