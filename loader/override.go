// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"time"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// Override is a move that is in force: it stays through further applies and
// restarts, until it is taken back or its time is over.
type Override struct {
	plan.Override
	Users    map[string]uint32 `json:"users,omitempty"`    // uids, by name, of the users of Match
	Existing classes.Fate      `json:"existing,omitempty"` // of open sockets, there and back; "": the class's own
	Until    time.Duration     `json:"until,omitempty"`    // since the machine started (CLOCK_BOOTTIME), in nanoseconds; 0: it stays
	Author   string            `json:"author"`
	Since    time.Time         `json:"since"`
}

// Left is how long the override still lasts; negative when it is over, 0 if
// it has no end.
func (o *Override) Left() time.Duration {
	if o.Until == 0 {
		return 0
	}
	return o.Until - host.SinceBoot()
}

// String is the override in words: "move backup.service to bulk".
func (o *Override) String() string { return fmt.Sprintf("move %s to %s", o.Subject, o.To) }

// planned is the overrides as a plan takes them.
func planned(overrides []Override) (out []plan.Override) {
	for _, o := range overrides {
		o.Source = fmt.Sprintf("moved by %s, %s", o.Author, o.Since.Format(time.DateTime+" MST"))
		out = append(out, o.Override)
	}
	return out
}

// inForce are the overrides in force: those of the state, or, where nothing is
// applied, those that were before the machine started.
func (l *Loader) inForce(state *State) ([]Override, error) {
	if state != nil {
		return slices.Clone(state.Overrides), nil
	}
	return l.keptMoves()
}

// Overrides are the moves that are in force here.
func (l *Loader) Overrides() ([]Override, error) {
	state, err := l.State()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return l.inForce(state)
}

// overrides are those that there will be: those in force, edited, without those
// that the policy itself says by now.
func (want wanted) overrides(held []Override) []Override {
	overrides := slices.Clone(held)
	if want.edit != nil {
		overrides = want.edit(overrides)
	}
	return slices.DeleteFunc(overrides, func(o Override) bool {
		return slices.ContainsFunc(want.policy.Moves, func(m classes.Move) bool { return o.moves(m) && m.To == o.To })
	})
}

// moves tells whether the override moves what a move of a policy does.
func (o *Override) moves(m classes.Move) bool {
	return m.From == o.From && slices.Equal(m.Match.Cgroup, o.Match.Cgroup) && sameUsers(m.Match, o.Match) && sameContainers(m.Match, o.Match)
}

// lacks is the class that the override names and a policy has not; "" for none.
func (o *Override) lacks(policy *classes.Policy) string {
	for _, name := range []string{o.From, o.To} {
		named := func(c classes.Class) bool { return c.Name == name }
		if name != "" && name != Unclassed && !slices.ContainsFunc(policy.Classes, named) {
			return name
		}
	}
	return ""
}

func sameUsers(a, b classes.Match) bool {
	return slices.EqualFunc(a.UID, b.UID, func(a, b classes.User) bool { return a.Name == b.Name && a.Lo == b.Lo && a.Hi == b.Hi })
}

func sameContainers(a, b classes.Match) bool {
	return slices.EqualFunc(a.Container, b.Container, func(a, b classes.Container) bool { return a.String() == b.String() })
}

// sameOverrides tells whether two states have the same.
func sameOverrides(a, b []Override) bool {
	return len(a)+len(b) == 0 || reflect.DeepEqual(a, b)
}

// without is an edit that takes one override back.
func without(subject string) func([]Override) []Override {
	return func(all []Override) []Override {
		return slices.DeleteFunc(all, func(o Override) bool { return o.Subject == subject })
	}
}

// expire takes back overrides whose time is over. The lock is held.
func (l *Loader) expire() error {
	state, err := l.State()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, o := range state.Overrides {
		if o.Until == 0 || o.Left() > 0 {
			continue
		}
		if _, err := l.takeBack(state, o, true); err != nil {
			return fmt.Errorf("take back `%s`, whose time is over: %w", o.String(), err)
		}
	}
	return nil
}

// takeBack undoes one override, or one whose time is over. Its open sockets have
// the fate that they had.
func (l *Loader) takeBack(state *State, o Override, lapsed bool) (*Applied, error) {
	defer func(root string, top match.Root) { l.root, l.top = root, top }(l.root, l.top)
	if err := l.at(state.CgroupRoot); err != nil {
		return nil, err
	}
	policy, err := state.Policy()
	if err != nil {
		return nil, err
	}
	return l.change(wanted{policy: policy, edit: without(o.Subject), fate: o.Existing, lapsed: lapsed})
}
