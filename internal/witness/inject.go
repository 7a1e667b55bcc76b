// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"waymark/classes"
	"waymark/internal/lab"
	"waymark/internal/plan"
	"waymark/internal/verify"
	"waymark/loader"
)

// injection is the failure of uplinks in a copy of the host.
type injection struct {
	*view
	copy     *lab.Copy
	attempts []attempt
	checks   []verify.Check
	done     <-chan struct{}
}

// ErrStopped is that of who wants to know no more.
var ErrStopped = errors.New("verify: stopped: what it made is gone, and the uplinks are as they were")

// Inject makes a copy of the host's network state in namespaces, applies the
// policy and the host's moves there, and takes the carrier of each uplink away in turn, at last of
// all, and, of uplinks that are probed, the gateway. Each time, processes in
// the classes' cgroups and with their uids send there, and are held against
// what the policy says. The host itself sends nothing. While it lasts, the
// copy's programs are at the host's cgroup root, beside its own. Once done is
// closed it ends with ErrStopped, and leaves nothing behind.
func Inject(l *loader.Loader, policy *classes.Policy, cgroupRoot string, done <-chan struct{}) (checks []verify.Check, err error) {
	if err := l.RemoveCopies(); err != nil {
		return nil, err
	}
	moves, err := l.Overrides()
	if err != nil {
		return nil, err
	}
	c, err := lab.NewCopy(plan.Protocol, plan.Nftables)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return injectInto(c, policy, moves, loader.Options{CgroupRoot: cgroupRoot, Author: loader.CopyAuthor()}, done)
}

func injectInto(c *lab.Copy, policy *classes.Policy, moves []loader.Override, o loader.Options, done <-chan struct{}) (checks []verify.Check, err error) {
	var held *loader.Verified
	defer func() {
		err = errors.Join(err, c.Host.Do(func() error {
			return withLoader(o, func(l *loader.Loader) error {
				_, err := l.Down()
				return err
			})
		}))
	}()
	err = c.Host.Do(func() error {
		return withLoader(o, func(l *loader.Loader) error {
			if _, err := l.ApplyMoved(policy, moves); err != nil {
				return fmt.Errorf("in the copy of the host: %w", err)
			}
			held, err = l.Verify(policy)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	i := &injection{view: newView(held.Plan, held.Facts, held.CgroupRoot, c.Host.Do), copy: c, done: done}
	defer func() { err = errors.Join(err, i.places.remove()) }()
	i.faithful()
	i.choose()
	if err := i.cables(); err != nil {
		return nil, err
	}
	return i.checks, i.gateways(policy, o)
}

func withLoader(o loader.Options, do func(*loader.Loader) error) error {
	l, err := loader.Open(o)
	if err != nil {
		return err
	}
	defer l.Close()
	return do(l)
}

// faithful says what the copy lacks.
func (i *injection) faithful() {
	for _, what := range i.copy.Left {
		c := verify.NewCheck(verify.Injected, "the copy of the host")
		c.Skipped = "it lacks " + what
		i.checks = append(i.checks, c)
	}
}

// most is of how many classes of one route attempts are made.
const most = 8

// choose finds what stands for each class in each family: a socket of this host,
// and a packet that comes in.
func (i *injection) choose() {
	type kind struct {
		class   int
		family  plan.Family
		arrives bool
	}
	chosen, stands := map[kind]bool{}, map[int]bool{}
	routes := map[string]map[int]bool{}
	for _, s := range verify.Samples(i.Plan) {
		class := i.Plan.Lines[s.Line].Class
		k := kind{class, s.Family, i.lines[s.Line].IIF != nil}
		if class == plan.NoClass || s.Lost != nil || chosen[k] || !k.arrives && !s.Flow.Src.IsUnspecified() ||
			k.arrives && s.Flow.IIF == math.MaxUint32 || s.Flow.Proto != unix.IPPROTO_TCP && s.Flow.Proto != unix.IPPROTO_UDP {
			continue
		}
		route := i.Plan.Classes[class].Route.String()
		if routes[route] == nil {
			routes[route] = map[int]bool{}
		}
		if !routes[route][class] && len(routes[route]) >= most {
			continue
		}
		routes[route][class], chosen[k], stands[class] = true, true, true
		i.attempts = append(i.attempts, attempt{class, s.Family, s.Line, s.Flow})
	}
	for n, class := range i.Plan.Classes {
		if stands[n] {
			continue
		}
		c := verify.NewCheck(verify.Injected, "class "+class.Name)
		c.Skipped = "none of its matches is of a TCP or UDP socket that this host makes, or of such a packet that comes in"
		if len(routes[class.Route.String()]) >= most {
			c.Skipped = "other classes with its route stand for it"
		}
		i.checks = append(i.checks, c)
	}
}

// cables takes the carrier of uplinks away.
func (i *injection) cables() error {
	for _, down := range append([][]string{nil}, verify.Cases(i.Plan)...) {
		if err := i.pull(down, (*lab.Copy).Unplug); err != nil {
			return err
		}
		err := i.try(verify.CaseName(down), verify.Down(i.Plan, down...))
		if err := errors.Join(err, i.pull(down, (*lab.Copy).Plug)); err != nil {
			return err
		}
	}
	return nil
}

func (i *injection) pull(uplinks []string, how func(*lab.Copy, string) error) error {
	for _, name := range uplinks {
		if err := how(i.copy, i.Plan.UplinkNamed(name).Interface); err != nil {
			return err
		}
	}
	return nil
}

// gateways withdraws the uplinks that are probed, as the agent does when their
// probes find nobody.
func (i *injection) gateways(policy *classes.Policy, o loader.Options) error {
	withdraw := func(which map[string]string) (p *plan.Plan, err error) {
		err = i.within(func() error {
			return withLoader(o, func(l *loader.Loader) error {
				healed, err := l.Heal(loader.Healing{Withdrawn: which})
				if err == nil {
					p = healed.Plan
				}
				return err
			})
		})
		return p, err
	}
	for _, u := range i.Plan.Uplinks {
		if u.Probes == 0 || !u.Up {
			continue
		}
		p, err := withdraw(map[string]string{u.Name: "waymark verify --inject"})
		if err != nil {
			return err
		}
		if err := i.try("gateway of "+u.Name+" dead", p); err != nil {
			return err
		}
	}
	return nil
}

func stopped(done <-chan struct{}) error {
	select {
	case <-done:
		return ErrStopped
	default:
		return nil
	}
}

// try has every class send, and holds what is seen against a plan with the
// uplinks as they are.
func (i *injection) try(failure string, p *plan.Plan) error {
	if err := stopped(i.done); err != nil {
		return err
	}
	first := len(i.checks)
	var sent []attempt
	var which []int // check of each of them
	for n, a := range i.attempts {
		c := verify.NewCheck(verify.Injected, fmt.Sprintf("%s: class %s, %s", failure, i.Plan.ClassName(a.class), a.family))
		if a.flow.IIF != 0 {
			c.Name += ", in by " + i.device(int(a.flow.IIF))
		} else {
			sent, which = append(sent, a), append(which, first+n)
		}
		i.checks = append(i.checks, c)
	}
	if err := i.tryArrivals(p, i.checks[first:]); err != nil {
		return err
	}
	return i.each(sent, func(n int, client *client, a attempt) error {
		e, err := i.observe(client, a, 0)
		if err == nil {
			i.judge(p, a, e, &i.checks[which[n]])
		}
		return err
	}, func(n int, why string) { i.checks[which[n]].Skipped = why })
}

// tryArrivals has a packet come in for each attempt that is of one.
func (i *injection) tryArrivals(p *plan.Plan, checks []verify.Check) error {
	for n, a := range i.attempts {
		if a.flow.IIF == 0 {
			continue
		}
		wait := sightPatience
		if len(verify.IntentOf(p, a.class, a.family).Uplinks) > 0 {
			wait = arrivalPatience
		}
		e, why, err := i.arrive(a, wait)
		if err != nil {
			return err
		}
		if checks[n].Skipped = why; why == "" {
			i.judge(p, a, e, &checks[n])
		}
	}
	return nil
}
