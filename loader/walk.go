// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// inherits tells whether a fresh instance has the same numbers and the same
// form of table as the one it takes over from: then the two tables can be
// compared, socket by socket.
func (a *apply) inherits() bool {
	return a.older != nil && a.state.current() && a.state.Settings.Mask == a.plan.Mask
}

// upgrades tells whether the policy in force gets the programs of this
// binary, and nothing else: every open socket is in its class.
func (a *apply) upgrades() bool {
	return a.older != nil && !a.state.current() && a.state.Unfinished == "" && a.next.same(a.state) && a.state.Settings.Mask == a.plan.Mask
}

// walk deals with the sockets that are open, now that new ones follow the
// plan: each one that the change concerns meets its fate, before the rules
// and tables go that it may still need.
func (a *apply) walk() {
	if !a.publishes() || a.upgrades() {
		return
	}
	c := a.transition()
	a.do(func() (err error) {
		a.walked, err = a.follow(c)
		return err
	}, func() error {
		if a.fresh {
			return nil
		}
		_, err := a.follow(back(c))
		return err
	})
}

// transition is the change as the walks are told of it.
func (a *apply) transition() datapath.Change {
	c := datapath.Change{Plan: a.plan, First: a.fresh && !a.inherits(), Fate: a.fate}
	if !c.First {
		c.Heirs = a.plan.Heirs(a.state.Numbers)
	}
	return c
}

// hold goes before the new table is in force, ahead of it if it lies beside
// the one that is: it notes the class of those flows of other network
// namespaces that the change will leave as they are. Their packets would ask
// the new table otherwise.
func (a *apply) hold(ahead bool) error {
	if a.upgrades() || !slices.ContainsFunc(a.plan.Hooks, func(h plan.Hook) bool { return h.Program == plan.IngressProgram }) {
		return nil
	}
	c := a.transition()
	c.Holds, c.Ahead = true, ahead
	_, err := a.elsewhere(c)
	return err
}

// rehearse counts what a walk would do, by a table that is never in force.
func (a *apply) rehearse() (walked datapath.Walked, err error) {
	if err := a.instance.Rehearse(a.table, a.scan); err != nil {
		return walked, err
	}
	walked, err = a.follow(datapath.Change{Plan: a.plan, Heirs: a.plan.Heirs(a.state.Numbers), Fate: a.fate, Ahead: true, Rehearses: true})
	return walked, errors.Join(err, a.instance.Discard())
}

// back is the change undone: what was moved goes back.
func back(c datapath.Change) datapath.Change {
	heirs := map[uint32]uint32{}
	for before, after := range c.Heirs {
		heirs[after] = before
	}
	c.Back, c.Fate, c.Heirs = true, classes.FateMove, heirs
	return c
}

// follow walks over the open sockets here, and in the network namespaces of
// the processes in classed cgroups.
func (a *apply) follow(c datapath.Change) (datapath.Walked, error) {
	walked, err := a.walkIn(nil, func() (*datapath.Walker, error) { return a.instance.Walker(c) })
	if err != nil || c.First {
		return walked, err
	}
	more, err := a.elsewhere(c)
	walked.Add(more)
	return walked, err
}

// elsewhere is the walk over the network namespaces of others.
func (a *apply) elsewhere(c datapath.Change) (walked datapath.Walked, err error) {
	c.Elsewhere = true
	return a.walkOthers(func() (*datapath.Walker, error) { return a.instance.Walker(c) })
}

// walkOthers is a walk over the network namespaces of others.
func (a *apply) walkOthers(open func() (*datapath.Walker, error)) (walked datapath.Walked, err error) {
	namespaces, err := a.others()
	if err != nil || len(namespaces) == 0 {
		return walked, err
	}
	for _, n := range namespaces {
		defer n.Close()
	}
	return a.walkIn(namespaces, open)
}

// walkIn is one walk, in these network namespaces; nil: here.
func (a *apply) walkIn(namespaces []*host.Namespace, open func() (*datapath.Walker, error)) (sum datapath.Walked, err error) {
	w, err := open()
	if err != nil {
		return sum, err
	}
	defer w.Close()
	here := func() error {
		done, doomed, err := w.Walk()
		if err != nil {
			return err
		}
		sum.Add(done)
		reset, err := host.DestroySockets(doomed)
		sum.Reset += uint64(reset)
		return err
	}
	if namespaces == nil {
		err = here()
		return sum, err
	}
	for _, n := range namespaces {
		if err := n.Do(here); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// others are the network namespaces, other than this loader's, that
// processes in classed cgroups live in, but for those with an instance of
// their own.
func (a *apply) others() (others []*host.Namespace, err error) {
	all, err := host.NamespacesOf(a.root, sync.OnceValues(a.instance.CgroupIDs))
	if err != nil {
		return nil, err
	}
	home, err := a.home()
	for _, n := range all {
		if !exists(filepath.Join(home, strconv.FormatUint(n.Inode, 10))) {
			others = append(others, n)
		} else {
			n.Close()
		}
	}
	return others, err
}
