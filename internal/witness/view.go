// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
	"waymark/internal/plan"
	"waymark/internal/verify"
)

// view is a plan in force in a network namespace, and clients of its classes
// there.
type view struct {
	Plan   *plan.Plan
	Facts  plan.Facts
	lines  []match.Match
	places places
	within func(func() error) error // runs what has to be in the namespace
}

func newView(p *plan.Plan, facts plan.Facts, root string, within func(func() error) error) *view {
	return &view{Plan: p, Facts: facts, lines: verify.Matches(p), places: places{root: root}, within: within}
}

// possible tells whether a socket on this host can have a flow's source.
func (v *view) possible(f match.Flow) bool {
	return f.Src.IsUnspecified() || slices.Contains(v.Facts.Own, f.Src)
}

// wins tells whether the class of a line has a flow.
func (v *view) wins(n int, f match.Flow) bool {
	first, ok := match.First(v.lines, f)
	return ok && v.Plan.Lines[first].Class == v.Plan.Lines[n].Class
}

// device is the name of an interface by its index, of those that are uplinks.
func (v *view) device(index int) string {
	for _, u := range v.Plan.Uplinks {
		if u.Index == index {
			return u.Interface
		}
	}
	for name, inner := range v.Facts.Inner {
		if inner.Index == index {
			return name
		}
	}
	return fmt.Sprintf("interface %d", index)
}

// evidence is what was seen of an attempt.
type evidence struct {
	outcome
	left []sight // its packets, as they went to a driver
}

// sightPatience is how long a packet is waited for that was sent: it is on its
// way in the same call, if nothing queues it.
const sightPatience = 300 * time.Millisecond

// observe has a client make the attempt's socket, and looks where it leaves.
func (v *view) observe(c *client, a attempt, wait time.Duration) (e evidence, err error) {
	var watch *eye
	err = v.within(func() (err error) {
		watch, err = openEye(a.flow.Dst)
		return err
	})
	if err != nil {
		return e, err
	}
	defer watch.close()
	o := orderOf(a.flow)
	o.Send, o.Wait = true, wait
	if e.outcome, err = c.do(o); err != nil {
		return e, err
	}
	own := func(s sight) bool {
		return uint32(s.Proto) == a.flow.Proto && uint32(s.Dport) == a.flow.Dport && (s.Sport == e.Local.Port() || v.translates(s.Index))
	}
	patience := sightPatience
	if e.Err != "" && a.flow.Proto != unix.IPPROTO_TCP {
		patience = 0 // it was told that nothing left
	}
	seen, err := watch.sights(patience, own)
	for _, s := range seen {
		if own(s) {
			e.left = append(e.left, s)
		}
	}
	return e, err
}

// translates tells whether packets that leave by an interface may get other
// ports.
func (v *view) translates(index int) bool {
	return slices.ContainsFunc(v.Plan.Uplinks, func(u plan.Uplink) bool {
		return u.Index == index && slices.ContainsFunc(v.Plan.SNAT, func(s plan.SNAT) bool { return s.Interface == u.Interface })
	})
}

// judge holds what was seen against what a policy wants of the class, with the
// uplinks as they are in a plan. What came in has no socket whose mark is seen.
func (v *view) judge(p *plan.Plan, a attempt, e evidence, c *verify.Check) {
	class, intent := p.Classes[a.class], verify.IntentOf(p, a.class, a.family)
	if got := e.Mark & uint32(p.Mask); got != class.Mark && a.flow.IIF == 0 {
		c.Wrong = append(c.Wrong, fmt.Sprintf("its socket carries mark %#x, which is not the class's %#x", e.Mark, class.Mark))
	}
	c.Answer = v.saw(e)
	known := p.Resolve(v.Facts, plan.Packet{Family: a.family, Dst: a.flow.Dst, Mark: class.Mark})
	if known.Does() == plan.Lookup && !known.Route.IsDefault() {
		c.Answer += fmt.Sprintf("; main knows a way of its own there, by %s", known.Interface)
		return
	}
	for _, device := range v.devices(e) {
		uplink := slices.IndexFunc(p.Uplinks, func(u plan.Uplink) bool { return u.Interface == device })
		name := ""
		if uplink >= 0 {
			name = p.Uplinks[uplink].Name
		}
		if !intent.Allows(name) {
			c.Wrong = append(c.Wrong, fmt.Sprintf("it leaves by %s, and the policy says %s", device, intent))
		}
	}
	if owner := v.strangerTo(e); owner != "" && a.flow.Src.IsUnspecified() && a.flow.IIF == 0 {
		c.Wrong = append(c.Wrong, fmt.Sprintf("its source %s is an address of uplink %s, and it leaves by %s: something routed it again", e.Local.Addr(), owner, v.devices(e)[0]))
	}
	if len(e.left) == 0 && len(intent.Uplinks) > 0 {
		c.Wrong = append(c.Wrong, fmt.Sprintf("nothing left, and the policy says %s", intent))
	}
}

// strangerTo is the uplink whose address was the source of what left by
// another; "" for none, and where sources are translated. What is no uplink may
// have no address, and borrow one.
func (v *view) strangerTo(e evidence) (uplink string) {
	if len(e.left) == 0 || v.translates(e.left[0].Index) ||
		!slices.ContainsFunc(v.Plan.Uplinks, func(u plan.Uplink) bool { return u.Index == e.left[0].Index }) {
		return ""
	}
	for _, u := range v.Plan.Uplinks {
		if !slices.ContainsFunc(u.Addresses, func(p netip.Prefix) bool { return p.Addr() == e.Local.Addr() }) {
			continue
		}
		if u.Index == e.left[0].Index {
			return ""
		}
		uplink = u.Name
	}
	return uplink
}

// devices are the interfaces that packets were seen at first: what lies below
// them, as a VLAN's parent does, sees the same ones again.
func (v *view) devices(e evidence) []string {
	if len(e.left) == 0 {
		return nil
	}
	return []string{v.device(e.left[0].Index)}
}

// saw is what was seen, in words.
func (v *view) saw(e evidence) string {
	var b strings.Builder
	if len(e.left) > 0 {
		fmt.Fprintf(&b, "left by %s from %s", v.device(e.left[0].Index), e.Local.Addr())
	} else {
		b.WriteString("nothing left")
	}
	if e.Err != "" {
		fmt.Fprintf(&b, ", %s: %s", e.Call, e.Err)
	}
	return b.String()
}

// each calls do for every attempt, in a client that is in its class's cgroup
// and whose flow has the whole path, or says why there is none.
func (v *view) each(attempts []attempt, do func(n int, c *client, a attempt) error, leave func(n int, why string)) error {
	for n, a := range attempts {
		path, err := v.places.below(a.flow.Cgroup)
		if err != nil {
			leave(n, err.Error())
			continue
		}
		if a.flow.Cgroup = path; !v.wins(a.line, a.flow) {
			leave(n, "what is below its cgroup is of another class")
			continue
		}
		c, err := startClient(v.places.dir(path), v.within)
		if err != nil {
			leave(n, err.Error())
			continue
		}
		err = do(n, c, a)
		if ended := c.close(); err == nil {
			err = ended
		}
		if err != nil {
			return err
		}
	}
	return nil
}
