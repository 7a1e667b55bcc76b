// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/loader"
)

// move is a move as the command line words it.
type move struct {
	existing string
	dryRun   bool
	howLong  time.Duration
	save     bool
	dir      string
	undo     bool
}

func newMove(e env) *cobra.Command {
	s := source{env: e}
	var o output
	var m move
	c := &cobra.Command{
		Use:   "move SUBJECT CLASS | move --undo SUBJECT",
		Short: "Give running traffic another class, until it is taken back",
		Long: `Gives traffic another class than the policy says: a unit (backup.service), a
cgroup (system.slice/backup.service), a user (uid:1000, uid:trader), a
container (container:backup, container:NAMESPACE/POD/NAME), a pod
(pod:shop/web-0), all containers that a match would take (container:{label:
{tier: bulk}}), or a whole class (class:bulk, or bulk). CLASS is a class of the
applied policy, or "unclassed". Open sockets are kept, moved or reset, as the
class that they come into says. The move stays through further applies,
rollbacks and restarts of the machine; --save keeps it in the policy as well.`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := m.check(c, args); err != nil {
				return err
			}
			return s.onHost(func(l *loader.Loader) error { return m.run(e, l, &o, args) })
		},
	}
	f := c.Flags()
	f.StringVar(&m.existing, "existing", "", "`FATE` of open sockets: keep, move or reset (default what the class says)")
	f.BoolVar(&m.dryRun, "dry-run", false, "print what would change, and how many sockets it concerns")
	f.DurationVar(&m.howLong, "for", 0, "go back by itself after this `TIME`, such as 30m")
	f.BoolVar(&m.save, "save", false, "write it into the policy as well")
	f.StringVar(&m.dir, "policy-dir", policyDir, "`DIRECTORY` of the policy that --save writes to")
	f.BoolVar(&m.undo, "undo", false, "take the move of SUBJECT back")
	s.cgroupFlag(c)
	o.flag(c)
	return c
}

// check finds what is wrong with the words and flags.
func (m *move) check(c *cobra.Command, args []string) error {
	fates := []classes.Fate{"", classes.FateKeep, classes.FateMove, classes.FateReset}
	known := false
	for _, f := range fates {
		known = known || string(f) == m.existing
	}
	switch {
	case m.undo && (len(args) != 1 || m.existing != "" || m.dryRun || m.howLong != 0 || m.save):
		return usage(c, errors.New("move --undo takes one subject, and no other flags of a move"))
	case !m.undo && len(args) != 2:
		return usage(c, fmt.Errorf("move takes a subject and a class, not %s", count(len(args), "word")))
	case !known:
		return usage(c, fmt.Errorf("there is no fate %q of open sockets: use keep, move or reset", m.existing))
	case m.howLong < 0 || m.howLong == 0 && c.Flags().Changed("for"):
		return usage(c, fmt.Errorf("--for %s: a move lasts longer than that", m.howLong))
	case m.howLong > longestWait:
		return usage(c, fmt.Errorf("--for %s: write a time of at most %s", m.howLong, longestWait))
	case m.save && m.howLong != 0:
		return usage(c, errors.New("--save with --for: a policy file cannot say for how long: leave one of them out"))
	case m.save && m.dryRun:
		return usage(c, errors.New("--save with --dry-run: leave one of them out"))
	}
	return nil
}

func (m *move) run(e env, l *loader.Loader, o *output, args []string) error {
	if m.undo {
		return m.takeBack(e, l, o, args[0])
	}
	order := loader.Order{Subject: args[0], To: args[1], Existing: classes.Fate(m.existing), For: m.howLong}
	act := l.Move
	if m.dryRun {
		act = l.Rehearse
	}
	moved, err := act(order)
	if errors.Is(err, fs.ErrNotExist) {
		return errNothingApplied
	}
	if err != nil {
		return err
	}
	saved := ""
	if m.save {
		if saved, err = saveMove(m.dir, moved.Override); err != nil {
			return fmt.Errorf("%w; the move is in force all the same", err)
		}
	}
	if m.howLong > 0 && !m.dryRun {
		if err := startWait(l.CgroupRoot()); err != nil {
			return fmt.Errorf("the move is in force, and nobody is there to take it back in time: %w: run `%s` then", err, moved.Override.Undo())
		}
	}
	return o.print(e.stdout, "Move", m.value(moved, saved), func(w io.Writer) error { return m.print(w, moved, saved) })
}

func (m *move) value(moved *loader.Moved, saved string) map[string]any {
	value := map[string]any{"override": moved.Override, "changes": moved.Changes, "sockets": moved.Walked, "dryRun": m.dryRun}
	if saved != "" {
		value["saved"] = saved
	}
	return value
}

func (m *move) print(w io.Writer, moved *loader.Moved, saved string) error {
	subject, to, undo := moved.Override.Subject, moved.Override.To, moved.Override.Undo()
	if err := moved.Changes.Print(w); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, moved.Walked); err != nil {
		return err
	}
	var err error
	switch {
	case m.dryRun:
		_, err = fmt.Fprintf(w, "nothing was changed: %s would be in class %s\n", subject, to)
	case saved != "":
		_, err = fmt.Fprintf(w, "moved %s to %s, and saved that in %s; `%s` takes it back\n", subject, to, saved, undo)
	case m.howLong > 0:
		_, err = fmt.Fprintf(w, "moved %s to %s for %s; `%s` takes it back before\n", subject, to, m.howLong, undo)
	default:
		_, err = fmt.Fprintf(w, "moved %s to %s; `%s` takes it back\n", subject, to, undo)
	}
	return err
}

// takeBack undoes a move, and forgets it where it was saved.
func (m *move) takeBack(e env, l *loader.Loader, o *output, subject string) error {
	moved, err := l.Undo(subject)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNothingApplied
	case errors.Is(err, loader.ErrNoMove):
		return m.forget(e, l, o, subject, err)
	case err != nil:
		return err
	}
	forgotten, err := forgetMove(m.dir, moved.Override)
	if err != nil {
		return err
	}
	value := map[string]any{"override": moved.Override, "changes": moved.Changes, "sockets": moved.Walked, "forgotten": forgotten, "inPolicy": moved.InPolicy}
	return o.print(e.stdout, "MoveUndone", value, func(w io.Writer) error {
		if err := moved.Changes.Print(w); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, moved.Walked); err != nil {
			return err
		}
		where := ""
		if forgotten != "" {
			where = ", and removed " + forgotten
		}
		switch {
		case moved.InPolicy && forgotten != "":
			where += ", which is applied: run `waymark apply` to take that back, too"
		case moved.InPolicy:
			where += "; the applied policy moves it as well"
		}
		_, err := fmt.Fprintf(w, "took back: %s%s\n", moved.Text, where)
		return err
	})
}

// forget removes a saved move that is no override any more, for an apply has
// taken it into the policy.
func (m *move) forget(e env, l *loader.Loader, o *output, subject string, none error) error {
	for _, name := range append(l.Names(subject), subject) {
		forgotten, err := forgetMove(m.dir, loader.Override{Override: plan.Override{Subject: name}})
		if err != nil {
			return err
		}
		if forgotten != "" {
			return o.print(e.stdout, "MoveUndone", map[string]any{"forgotten": forgotten}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "removed %s: run `waymark apply` to take the move back\n", forgotten)
				return err
			})
		}
	}
	return none
}
