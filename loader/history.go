// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
)

// keptStates is how many states there are to go back to.
const keptStates = 10

// Past is one line of the list of states.
type Past struct {
	Number  int       `json:"number"`
	Applied time.Time `json:"applied"`
	Author  string    `json:"author"`
	Change  string    `json:"change"`
	InForce bool      `json:"inForce"`
}

// past lists the states, the one in force first. One that cannot be read is
// left out: there is no way back to it.
func past(dir string, now *State) ([]Past, error) {
	list := []Past{now.past(true)}
	numbers, err := datapath.Kept(dir)
	if err != nil {
		return nil, err
	}
	for i := len(numbers) - 1; i >= 0; i-- {
		if s, err := readKept(dir, numbers[i]); err == nil && numbers[i] < now.Number {
			list = append(list, s.past(false))
		}
	}
	return list, nil
}

func (s *State) past(inForce bool) Past {
	return Past{Number: s.Number, Applied: s.Applied, Author: s.Author, Change: s.Change, InForce: inForce}
}

func readKept(dir string, n int) (*State, error) {
	raw, err := datapath.ReadKept(dir, n)
	return stateOf(dir, raw, err)
}

// prune forgets the states that are too old, and those that never came in
// force.
func prune(dir string, now int) error {
	numbers, err := datapath.Kept(dir)
	for _, n := range numbers {
		if n >= now || n < now-keptStates {
			err = errors.Join(err, datapath.ForgetKept(dir, n))
		}
	}
	return err
}

// Returned is what a rollback did. A state that goes back to nothing has
// Removed, any other Applied.
type Returned struct {
	From    int      // number of the state that was in force
	To      int      // number of the state that it went back to; 0: to none
	Applied *Applied // with a number of its own: it can be gone back on too
	Removed *Removed
}

// Rollback brings the kernel back to the policy of the state with that
// number, or of the one before the one in force if n is 0. A state that is
// on trial and was the first goes back to nothing. An error that is
// fs.ErrNotExist says that nothing is applied.
func (l *Loader) Rollback(n int) (*Returned, error) {
	held, err := l.begin()
	if err != nil {
		return nil, err
	}
	defer held.release()
	now, err := l.State()
	if err != nil {
		return nil, err
	}
	switch {
	case n == 0 && now.Trial != nil:
		return l.goBack(now, now.Trial.Back, "")
	case n == 0 && now.Lapsed != 0: // who asks may have meant that one, and been a moment late
		return nil, fmt.Errorf("rollback: state %d was not confirmed, and is gone back on already: `waymark status` lists the states: say which", now.Lapsed)
	}
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	list, err := past(dir, now)
	if err != nil {
		return nil, err
	}
	if n == 0 && len(list) < 2 {
		return nil, fmt.Errorf("rollback: there is no state before %d: `waymark down` removes it", now.Number)
	}
	if n == 0 {
		n = list[1].Number
	}
	return l.goBack(now, n, "")
}

// goBack brings the kernel back to a kept state; 0 is none. The lock is held.
func (l *Loader) goBack(now *State, n int, why string) (*Returned, error) {
	r := &Returned{From: now.Number, To: n}
	if n == 0 {
		removed, err := l.remove()
		r.Removed = &removed
		return r, err
	}
	if n == now.Number {
		return nil, fmt.Errorf("rollback to %d: it is the state in force", n)
	}
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	to, err := readKept(dir, n)
	if errors.Is(err, fs.ErrNotExist) || n > now.Number {
		return nil, fmt.Errorf("rollback to %d: it is not kept: `waymark status` lists those that are", n)
	}
	if err != nil {
		return nil, err
	}
	policy, err := to.Policy()
	if err != nil {
		return nil, err
	}
	if err := l.at(to.CgroupRoot); err != nil {
		return nil, err
	}
	want := wanted{policy: policy, back: n, users: to.Users, why: why}
	if why != "" {
		want.leaveOut(now.Overrides)
	}
	r.Applied, err = l.change(want)
	if err != nil {
		return nil, fmt.Errorf("rollback to %d: %w", n, err)
	}
	return r, nil
}

// leaveOut takes back the moves of which the policy does not have the classes:
// nobody may be there to do that who could be told.
func (want *wanted) leaveOut(held []Override) {
	lost := func(o Override) bool { return o.lacks(want.policy) != "" }
	for _, o := range held {
		if lost(o) {
			want.why += fmt.Sprintf("without `%s`, ", o.String())
		}
	}
	want.edit = func(all []Override) []Override { return slices.DeleteFunc(all, lost) }
	want.lapsed = true // that they cannot be forgotten is no reason to stay, either
}

func firstChange(want wanted) string {
	var names []string
	for _, c := range want.policy.Classes {
		names = append(names, "+"+c.Name)
	}
	if len(names) > 3 {
		return fmt.Sprintf("first: %d classes", len(names))
	}
	return "first: class " + strings.Join(names, ", ")
}

// changeFrom is a change in a line.
func changeFrom(before, after *State, want wanted) string {
	change := "the policy before cannot be read"
	if outline, err := before.outline(); err == nil {
		change = classes.Difference(outline, *after.Outline)
	}
	if want.back != 0 {
		change = fmt.Sprintf("back to %d: %s", want.back, change)
	}
	return want.why + change
}

// History is the list of states, the one in force first, and the moves in
// force. An error that is fs.ErrNotExist says that nothing is applied.
func (l *Loader) History() (states []Past, moves []Override, err error) {
	now, err := l.State()
	if err != nil {
		return nil, nil, err
	}
	dir, err := l.dir()
	if err != nil {
		return nil, nil, err
	}
	states, err = past(dir, now)
	return states, append([]Override{}, now.Overrides...), err
}
