// SPDX-License-Identifier: Apache-2.0

// Package loader brings the kernel from what it is to what the Plan says, in
// an order no packet can fall through.
package loader

import (
	"errors"
	"path/filepath"
	"strconv"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/match"
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
	Waiting    func(holder string) // called when another process has held the lock for a moment, and with "" after each further one; nil: nobody wants to know
	Done       <-chan struct{}     // closed when nobody waits for the lock, or for what is asked for, any more; nil: never
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

	replaced bool // what another build had applied has this one's programs since

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

const homeName = "waymark"

// home is the directory of all instances; dir that of this namespace's.
func (l *Loader) home() (string, error) {
	bpffs, _, err := host.Bpffs()
	return filepath.Join(bpffs, homeName), err
}

func (l *Loader) dir() (string, error) { return l.dirOf(l.netns) }

func (l *Loader) dirOf(netns uint64) (string, error) {
	home, err := l.home()
	return filepath.Join(home, strconv.FormatUint(netns, 10)), err
}

// AppliedIn tells whether something is applied in a network namespace, by its inode,
// or is being applied there.
func (l *Loader) AppliedIn(netns uint64) bool {
	dir, err := l.dirOf(netns)
	return err == nil && (exists(dir) || exists(dir+oldSuffix))
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

// blame is the reason of a failure: what the kernel lacks, if it lacks
// anything, and otherwise what the kernel said.
func blame(err error) error {
	var lacking *datapath.Unsupported
	if missing := datapath.Probe(); errors.As(missing, &lacking) {
		return lacking
	}
	return err
}
