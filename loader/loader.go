// SPDX-License-Identifier: Apache-2.0

// Package loader brings the kernel from what it is to what the Plan says, in
// an order no packet can fall through.
package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/nat"
	"waymark/internal/neighbours"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
)

// Options say where a loader works, and for whom; the zero value is the
// whole host.
type Options struct {
	CgroupRoot string              // directory to attach to; "": the top of the cgroup2 tree
	StateDir   string              // of what outlives the machine's memory; "": nothing does
	Author     string              // who asks, for the states' list
	Waiting    func(holder string) // called once when another process has held the lock for a moment; nil: nobody wants to know
	Done       <-chan struct{}     // closed when nobody waits for the lock any more; nil: never
}

// Loader works on the network namespace of the thread that opened it, and
// must be used from that namespace.
type Loader struct {
	options Options
	root    string     // the cgroup directory
	top     match.Root // the cgroup of it
	netns   uint64     // inode
	name    string     // of it, by `ip netns`; "": the machine's own, or it has none
	cookie  uint64     // of it; 0 where the kernel gives none
	rules   *rpdb.Handle

	hung    map[string]time.Time // container runtimes, by socket, that did not answer in time, and when they were waited for
	reading reading              // of the state, last
	listed  listed               // the marks of open sockets, last
	memory  *memory              // of what was applied when Heal last looked; nil for commands that do not heal
}

// Open looks at the host; it changes nothing.
func Open(o Options) (*Loader, error) {
	l := &Loader{options: o, hung: map[string]time.Time{}}
	root, err := o.CgroupRoot, error(nil)
	if root == "" {
		if root, err = host.CgroupRoot(); err != nil {
			return nil, err
		}
	}
	if err := l.at(root); err != nil {
		return nil, err
	}
	if l.netns, err = host.NetnsInode(); err != nil {
		return nil, err
	}
	if !host.FirstNetns() {
		l.name = host.NetnsName()
	}
	// Without one there is no instance; what needs it says so.
	l.cookie, _ = host.NetnsCookie()
	if l.rules, err = rpdb.Open(); err != nil {
		return nil, err
	}
	return l, nil
}

// at makes a directory the cgroup root.
func (l *Loader) at(root string) (err error) {
	if l.root, err = filepath.Abs(root); err != nil {
		return err
	}
	l.top, err = cgroupTop(l.root)
	return err
}

// CgroupRoot is the directory that cgroup paths start from.
func (l *Loader) CgroupRoot() string { return l.root }

// Close lets go of the kernel's sockets; what was applied stays.
func (l *Loader) Close() { l.rules.Close() }

// home is the directory of all instances; dir that of this namespace's.
func (l *Loader) home() (string, error) {
	bpffs, _, err := host.Bpffs()
	return filepath.Join(bpffs, "waymark"), err
}

func (l *Loader) dir() (string, error) {
	home, err := l.home()
	return filepath.Join(home, strconv.FormatUint(l.netns, 10)), err
}

// Plan is what Apply would bring the kernel to, and the changes it would
// make. Errors are those of plan.Make, or of reading the host; with a
// plan.Conflicts the plan is there too. The report is Doctor's, of a policy
// that nothing conflicts with.
func (l *Loader) Plan(policy *classes.Policy) (*plan.Plan, plan.Changes, neighbours.Report, error) {
	w, err := l.survey(wanted{policy: policy})
	if err != nil {
		return nil, plan.Changes{}, neighbours.Report{}, err
	}
	defer w.close()
	if w.conflict != nil {
		return w.plan, w.changes, neighbours.Report{}, w.conflict
	}
	report, err := l.examine(w.neighbourhood())
	return w.plan, w.changes, report, err
}

// survey is a policy held against the kernel.
type survey struct {
	state    *State // of the last apply; nil before the first
	instance *datapath.Instance
	cookie   uint64
	facts    plan.Facts
	plan     *plan.Plan
	table    datapath.Compiled // of the plan
	conflict error             // a plan.Conflicts, or nil
	have     plan.Kernel
	changes  plan.Changes
	arming   datapath.Arming
	fresh    bool // the instance there is, if any, cannot carry the plan

	held        []Override // the overrides in force
	unread      error      // why some that were kept for it are not; nil: they are
	overrides   []Override // that the plan was made with
	fingerprint string     // of the plan
}

func (w *survey) close() {
	if w.instance != nil {
		w.instance.Close()
	}
}

func (l *Loader) survey(want wanted) (*survey, error) {
	w := &survey{}
	var err error
	if w.cookie, err = host.NetnsCookie(); err != nil {
		return nil, blame(err)
	}
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	if w.state, err = l.stateIn(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if want.text != nil {
		want.begin(w.state)
	}
	if w.state != nil && exists(dir) {
		if w.instance, err = w.state.open(dir); err != nil {
			return nil, err
		}
	}
	if err := w.compare(l, want); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// surveyApplied is the policy that is applied, held against the kernel. An
// error that is fs.ErrNotExist says that nothing is applied.
func (l *Loader) surveyApplied() (*survey, error) {
	policy, err := l.Applied()
	if err != nil {
		return nil, err
	}
	w, err := l.survey(wanted{policy: policy})
	if err == nil && w.state == nil {
		w.close()
		return nil, fs.ErrNotExist
	}
	return w, err
}

func (w *survey) compare(l *Loader, want wanted) error {
	var err error
	w.held, w.unread = l.inForce(w.state)
	w.overrides = want.overrides(w.held)
	if w.facts, err = l.facts(want.policy, w.overrides, w.state); err != nil {
		return err
	}
	w.facts.Withdrawn = want.withdrawals(w.state)
	if w.instance != nil {
		w.facts.Arms, w.facts.Traces = w.instance.Arms(), w.instance.Traces()
	} else {
		w.facts.Traces = datapath.Traces()
	}
	w.facts.Arms = w.facts.Arms || datapath.CanArm()
	before := plan.Numbers{}
	if w.state != nil {
		before = w.state.Numbers
	}
	if w.plan, w.conflict = w.make(l, want, before); w.plan == nil {
		return w.conflict
	}
	if err := w.numbered(l, want, before); err != nil || w.plan == nil {
		return errors.Join(err, w.conflict)
	}
	if w.unread != nil {
		w.plan.Notes = append(w.plan.Notes, w.unread.Error())
	}
	w.table = datapath.Compile(w.plan, l.top)
	if want.text != nil && w.conflict == nil && !want.repeats(w.state) {
		// It takes as long as all that there is to do until it is needed.
		go func() { _, _ = w.table() }()
	}
	w.fresh = w.instance == nil || !w.state.current() || !w.state.Settings.Hold(w.plan, w.cookie)
	if w.have, err = l.holds(w); err != nil {
		return err
	}
	w.fingerprint = w.plan.Fingerprint()
	w.changes = w.plan.DiffOf(w.fingerprint, w.have)
	return w.checkArming()
}

// make makes the plan. Without one the error says why; with one, what it
// would take from others.
func (w *survey) make(l *Loader, want wanted, before plan.Numbers) (*plan.Plan, error) {
	return plan.Make(want.policy, w.facts, before, plan.Options{CgroupRoot: l.root, Overrides: planned(w.overrides)})
}

// holds is what the kernel holds of ours. An instance of other programs, or
// one that cannot carry the plan, counts as having no hooks.
func (l *Loader) holds(w *survey) (plan.Kernel, error) {
	k := plan.Kernel{Sysctls: w.facts.Sysctls}
	var err error
	if k.Table, err = nat.Read(); err != nil {
		return k, err
	}
	for _, r := range w.facts.Rules {
		if r.Protocol == plan.Protocol {
			k.Rules = append(k.Rules, r)
		}
	}
	for _, r := range w.facts.Routes {
		if r.Protocol == plan.Protocol {
			k.Routes = append(k.Routes, r)
		}
	}
	if w.fresh {
		return k, nil
	}
	if w.state.Unfinished == "" {
		k.Fingerprint = w.state.Fingerprint
	}
	k.Hooks, err = w.instance.Hooks(l.root)
	w.state.complete(k.Hooks)
	return k, err
}

// checkArming has the matches published again, with more room, if cgroups
// that were made found none.
func (w *survey) checkArming() error {
	if w.fresh {
		return nil
	}
	var err error
	if w.arming, err = w.instance.Arming(); err != nil {
		return err
	}
	w.changes.Classes = w.changes.Classes || w.arming.Failed > 0
	return nil
}

// blame is the reason of a failure: what the kernel lacks, if it lacks
// anything, and otherwise what the kernel said.
func blame(err error) error {
	var lacking *datapath.Unsupported
	if missing := datapath.Probe(); errors.As(missing, &lacking) {
		return lacking
	}
	return err
}

// cgroupTop is the cgroup of a directory.
func cgroupTop(root string) (top match.Root, err error) {
	if top.Level, err = cgroupLevel(root); err != nil {
		return top, err
	}
	top.ID, err = host.CgroupID(root, "")
	return top, err
}

func cgroupLevel(root string) (int, error) {
	const cure = "name a directory of the cgroup2 file system that `findmnt -t cgroup2` shows"
	if info, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("open the cgroup root %s: it does not exist: %s", root, cure)
	} else if err != nil {
		return 0, fmt.Errorf("open the cgroup root: %w", err)
	} else if !info.IsDir() {
		return 0, fmt.Errorf("open the cgroup root %s: it is no directory: %s", root, cure)
	}
	level, exact, err := host.CgroupLevel(root)
	if err != nil || !exact {
		return anyLevel, err
	}
	return level, nil
}
