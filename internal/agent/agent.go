// SPDX-License-Identifier: Apache-2.0

// Package agent keeps the kernel at the policy that is applied: it follows
// the host's links, addresses, routes and cgroups, puts back what somebody
// takes away, and applies its own policy files when they change. All of what
// was applied works without it.
package agent

import (
	"context"
	"log/slog"
	"time"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/internal/probe"
	"waymark/loader"
)

// Options are what an agent works with.
type Options struct {
	Loader *loader.Loader
	Load   func() (*classes.Policy, error) // reads the policy files
	Paths  []string                        // the files and directories that it reads; some may not exist
	Reload <-chan struct{}                 // asks for the files to be applied, changed or not
	Log    *slog.Logger
	// Notify tells the service manager: lines of sd_notify(3). It may be nil.
	Notify func(lines string)
	// Watchdog is how often the service manager wants a sign of life; 0: never.
	Watchdog time.Duration
}

const (
	second     = time.Second
	pause      = second / 2             // between two looks at what has no notices: what changes there is put back within a second
	whole      = time.Minute            // between two whole looks, should a notice have been missed
	gather     = 20 * time.Millisecond  // for what comes with the first notice of a storm
	quietFiles = 300 * time.Millisecond // since the last change of a file: it may be half written
)

// Agent is one that runs.
type Agent struct {
	Options
	record  *Record
	lock    *lock
	authors authors
	news    chan struct{} // has an element while something has changed that nobody has looked at
	haste   chan struct{} // the same of what is not to wait
	others  chan struct{} // the same of what can wait
	follows follows
	cgroups cgroups
	probes  *probe.Probes
	probing bool              // they follow the plan
	left    map[string]string // the uplinks that were told to be withdrawn, with the reason
	turns   turns
	limits  limits
	said    map[string]string // the last complaint of each kind

	files   []classes.File // as they were last tried
	wanted  map[Object]bool
	again   again
	begun   bool            // the files were applied, or tried to be, once
	waits   bool            // the files are to be applied when a trial is over, whatever comes of it
	policy  *classes.Policy // in force when it was last looked
	ours    bool            // the state in force is of this agent's own apply, which no look has found yet
	current *plan.Plan
	status  string // as the service manager has it
	pulse   loader.Pulse
	pace    pace
	alive   time.Time // the last sign of life
}

// Run applies the policy files and keeps the kernel at what is applied until
// ctx ends, which is no error and changes no packet's way. A policy that
// cannot be applied is an error when nothing is applied yet; otherwise it is
// said, and what is applied is kept.
func Run(ctx context.Context, o Options) error {
	lock, err := takeLock(o.Loader)
	if err != nil {
		return err
	}
	defer lock.release()
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	record := newRecord(lock.before())
	a := &Agent{Options: o, lock: lock, record: record, said: map[string]string{}, news: make(chan struct{}, 1), haste: make(chan struct{}, 1), others: make(chan struct{}, 1), probes: probe.New(record.Counts...)}
	defer a.follows.stop()
	defer a.cgroups.stop()
	defer a.probes.Close()
	stop, err := a.listen()
	if err != nil {
		return err
	}
	defer stop()
	files := &files{paths: o.Paths}
	files.differ()
	a.tell()
	if err := a.begin(); err != nil {
		return err
	}
	a.loop(ctx, files)
	o.Notify("STOPPING=1\nSTATUS=stopped; what was applied stays in force")
	o.Log.Info("stopped; what was applied stays in force")
	return nil
}

// begin applies the files for the first time.
func (a *Agent) begin() error {
	err := a.apply(true)
	a.begun = true
	if err != nil {
		if _, stateErr := a.Loader.State(); stateErr != nil {
			return err
		}
		a.refused(err)
	}
	a.Notify("READY=1")
	a.look(false)
	return nil
}

// tell says what is going on to the service manager and to `status`.
func (a *Agent) tell() {
	a.tellProbes()
	a.record.Problems = a.problems()
	text := a.record.Text()
	if len(a.record.Problems) > 0 {
		text += "; " + a.record.Problems[0]
	}
	if text = firstLine(text); text != a.status {
		a.status = text
		a.Notify("STATUS=" + text)
	}
	if err := a.lock.write(a.record); err != nil {
		a.complain("record", err.Error())
	} else {
		a.settle("record")
	}
}

// loop waits for whatever comes first.
func (a *Agent) loop(ctx context.Context, files *files) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var look, hasty, late, settled, arm <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.news:
			if look == nil {
				look = time.After(max(gather, time.Until(a.pace.next)))
			}
		case <-a.haste:
			if hasty == nil {
				hasty = time.After(max(gather, time.Until(a.pace.soon)))
			}
		case <-a.others:
			if late == nil {
				late = time.After(max(gather, time.Until(a.pace.late)))
			}
		case <-look:
			look, late = nil, nil // what there was to look at has been seen
			a.look(false)
		case <-hasty:
			look, hasty, late = nil, nil, nil
			a.look(false)
		case <-late:
			late = nil
			a.look(false)
		case <-a.probes.News:
			a.look(false)
		case <-settled:
			if settled = files.settling(); settled == nil {
				a.reload(false)
			}
		case e := <-a.cgroups.news:
			if a.cgroupMade(e) && arm == nil {
				arm = time.After(gather)
			}
		case <-a.cgroups.lost:
			_ = a.cgroups.add(a.cgroups.root) // what it cannot add, the next notice says
			arm = time.After(gather)
		case <-arm:
			arm = nil
			a.arm()
		case <-a.Reload:
			a.reload(true)
		case <-tick.C:
			a.beat()
			if settled == nil {
				settled = files.settling()
			}
		}
		a.sign()
	}
}

// beat looks at what has no notices, and at everything now and then.
func (a *Agent) beat() {
	a.countTurns()
	if a.again.due(time.Now()) {
		a.attempt(true)
	}
	pulse, err := a.Loader.Pulse(a.current)
	if err != nil {
		a.complain("pulse", err.Error())
		a.look(false)
		return
	}
	maps := a.damaged(pulse) && !a.limits.holds(mapsObject, time.Now())
	changed := maps || pulse.Applied || pulse.Host != a.pulse.Host
	a.pulse.Host = pulse.Host // what changes from now on is to be seen by the next beat
	if a.pulse.Maps == "" {
		a.pulse.Maps = pulse.Maps
	}
	if changed || a.Loader.Due() || a.limits.due(time.Now()) || time.Since(a.pace.last) > whole || a.misjudges() {
		a.look(maps)
	} else if len(a.record.Probes) > 0 || !a.lock.kept() {
		a.tell() // what they count goes on
	}
}

// sign gives the service manager its sign of life.
func (a *Agent) sign() {
	if a.Watchdog > 0 && time.Since(a.alive) > a.Watchdog/3 {
		a.alive = time.Now()
		a.Notify("WATCHDOG=1")
	}
}
