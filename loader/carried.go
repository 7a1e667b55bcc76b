// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"maps"
	"time"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// listed are the marks of the open sockets, as they were at a moment.
type listed struct {
	marks  map[uint32]bool
	policy *classes.Policy // in force then
	state  int             // the Number of its state
	at     time.Time
}

// relisted is how often Heal lists the sockets: with ten thousand open, it takes
// longer than all else.
const relisted = time.Minute

// inUse are the marks of the open sockets. While a policy stays in force, Heal takes
// those that it listed last: nobody gets another's number meanwhile, and one that
// no socket carries any more only keeps its rules for longer. Nor are they asked for
// by a look at what is in force: every class has its number, and all blocks stay.
func (l *Loader) inUse(want wanted) (map[uint32]bool, error) {
	policy := want.policy
	if want.inForce {
		return nil, nil
	}
	if l.memory == nil || policy != l.memory.policy {
		return host.SocketMarks()
	}
	if l.listed.policy != policy || l.listed.state != l.memory.state.Number {
		if err := l.list(); err != nil {
			return nil, err
		}
	}
	return l.listed.marks, nil
}

// list lists the marks of the open sockets under the policy in force.
func (l *Loader) list() error {
	marks, err := host.SocketMarks()
	if err == nil {
		l.listed = listed{marks, l.memory.policy, l.memory.state.Number, time.Now()}
	}
	return err
}

// numbered makes the plan again if it gives up a number that a flow still has
// without its socket's mark: nobody else may get it, and its rules stay.
func (w *survey) numbered(l *Loader, want wanted, before plan.Numbers) error {
	if w.plan == nil || w.instance == nil || !w.state.current() || w.state.Settings.Mask != w.plan.Mask || !w.plan.Frees(before) {
		return nil
	}
	carried, err := (&apply{Loader: l, survey: w}).carried(want.locked)
	if err != nil || len(carried) == 0 {
		return err
	}
	w.alsoInUse(carried)
	w.plan, w.conflict = w.make(l, want, before)
	return nil
}

// keepBlocks has all blocks of a plan in force stay: that the last socket of one has
// ended since is a reason for the next change to remove its rules, and no damage.
func (w *survey) keepBlocks(of plan.Numbers) {
	first := map[uint32]bool{}
	for _, b := range of.Blocks {
		first[of.Mask.Spread(b.First)] = true
	}
	w.alsoInUse(first)
}

// alsoInUse has more marks be in use; those that were listed may be others', too.
func (w *survey) alsoInUse(marks map[uint32]bool) {
	all := maps.Clone(marks)
	maps.Copy(all, w.facts.InUse)
	w.facts.InUse = all
}

// carried are the marks that flows have without their sockets, here and in
// the network namespaces of the processes in classed cgroups.
func (a *apply) carried(alone bool) (map[uint32]bool, error) {
	look, err := a.instance.CarriedLook(alone)
	if err != nil {
		return nil, err
	}
	defer look.Close()
	if err := look.Walk(); err != nil {
		return nil, err
	}
	namespaces, err := a.others()
	if err != nil {
		return nil, err
	}
	if err := look.Elsewhere(); err != nil {
		return nil, err
	}
	for _, n := range namespaces {
		defer n.Close()
		if err := n.Do(look.Walk); err != nil {
			return nil, err
		}
	}
	return look.Marks()
}
