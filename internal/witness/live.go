// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
	"waymark/internal/verify"
	"waymark/loader"
)

// answerPatience is how long a target may take to answer.
const answerPatience = 3 * time.Second

// Live has a process of every class, in its cgroup and with its uid, connect
// to a target in each family, and sees the socket's mark, the interface that
// its packets leave by, and that the class's counters count them. Once done is
// closed it ends with ErrStopped.
func Live(l *loader.Loader, held *loader.Verified, targets []netip.AddrPort, done <-chan struct{}) (checks []verify.Check, err error) {
	v := newView(held.Plan, held.Facts, held.CgroupRoot, func(f func() error) error { return f() })
	defer func() { err = errors.Join(err, v.places.remove()) }()
	var attempts []attempt
	var which []int // check of each attempt
	for n, class := range v.Plan.Classes {
		for _, family := range plan.Families {
			c := verify.NewCheck(verify.Live, fmt.Sprintf("class %s, %s", class.Name, family))
			a, why := v.attemptTo(n, family, targets)
			if c.Skipped = why; why == "" {
				attempts, which = append(attempts, a), append(which, len(checks))
				c.Name += fmt.Sprintf(", to %s by %s", netip.AddrPortFrom(a.flow.Dst, uint16(a.flow.Dport)), v.Plan.Lines[a.line].Text)
			}
			checks = append(checks, c)
		}
	}
	before, err := l.Status()
	if err != nil {
		return nil, err
	}
	sent := map[string]bool{} // class and uplink
	err = v.each(attempts, func(n int, client *client, a attempt) error {
		e, err := v.observe(client, a, answerPatience)
		if err := errors.Join(err, stopped(done)); err != nil {
			return err
		}
		c := &checks[which[n]]
		v.judge(v.Plan, a, e, c)
		unanswered(a, e, c)
		for _, device := range v.devices(e) {
			sent[v.Plan.ClassName(a.class)+" "+device] = true
		}
		return nil
	}, func(n int, why string) { checks[which[n]].Skipped = why })
	if err != nil {
		return nil, err
	}
	counted, err := v.counted(l, before, sent)
	return append(checks, counted...), err
}

// unanswered says that a packet which left got no answer. A refusal is one.
func unanswered(a attempt, e evidence, c *verify.Check) {
	if a.flow.Proto == unix.IPPROTO_TCP && len(e.left) > 0 && e.Err != "" && e.Err != "ECONNREFUSED" {
		c.Wrong = append(c.Wrong, fmt.Sprintf("the target does not answer (%s): is it there, and does the uplink lead to it?", e.Err))
	}
}

// counted checks that classes' lines of counters have grown where they sent.
func (v *view) counted(l *loader.Loader, before *loader.Status, sent map[string]bool) (checks []verify.Check, err error) {
	after, err := l.Status()
	if err != nil {
		return nil, err
	}
	packets := func(s *loader.Status) map[string]uint64 {
		all := map[string]uint64{}
		for _, c := range s.Classes {
			for n, counts := range c.Counts {
				all[c.Name+" "+s.Uplinks[n].Interface] = counts.Packets
			}
		}
		return all
	}
	had, has := packets(before), packets(after)
	for _, class := range v.Plan.Classes {
		for _, u := range v.Plan.Uplinks {
			key := class.Name + " " + u.Interface
			if !sent[key] {
				continue
			}
			c := verify.NewCheck(verify.Live, fmt.Sprintf("class %s is counted on uplink %s", class.Name, u.Name))
			if c.Answer = fmt.Sprintf("%d packets", has[key]-had[key]); has[key] == had[key] {
				c.Wrong = append(c.Wrong, "its packets left there, and its counters did not see them: `waymark status` says what the kernel lacks")
			}
			checks = append(checks, c)
		}
	}
	return checks, nil
}
