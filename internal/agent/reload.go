// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"waymark/classes"
	"waymark/loader"
)

// reload applies the policy files, if they are not as they were last tried or
// somebody asked. A policy that is wrong changes nothing.
func (a *Agent) reload(asked bool) {
	if asked {
		a.Notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
	}
	a.attempt(asked)
	if asked {
		a.Notify("READY=1")
	}
}

// attempt is apply; what keeps the files from being applied is said.
func (a *Agent) attempt(always bool) {
	if err := a.apply(always); err != nil {
		a.refused(err)
	}
	a.look(false)
}

func (a *Agent) refused(err error) {
	var trial *loader.OnTrial
	if errors.As(err, &trial) {
		a.await("policy", fmt.Sprintf("the policy files wait until state %d, which is on trial, is confirmed or gone back on", trial.Number))
		return
	}
	a.complain("policy", fmt.Sprintf("the policy is not applied, the one before stays: %v", err))
}

// apply reads the files and applies them, unless they are those that were
// tried last. What is wrong with them, only other files mend; what else fails may
// be for a while.
func (a *Agent) apply(always bool) error {
	policy, err := a.Load()
	if errors.As(err, new(classes.Problems)) {
		a.files, a.again = nil, again{}
		return err
	}
	if err != nil {
		a.files = nil
		a.again.failed(time.Now())
		return err
	}
	files := policy.Files()
	if !always && slices.Equal(files, a.files) {
		return nil
	}
	if !slices.Equal(files, a.files) {
		a.again = again{}
	}
	a.files = files
	done, err := a.bring(policy)
	a.waits = errors.As(err, new(*loader.OnTrial))
	if err != nil {
		a.again.failed(time.Now())
		return err
	}
	if done == nil {
		return nil
	}
	a.superseded()
	if done.Unread != nil {
		a.Log.Warn(done.Unread.Error())
	}
	a.ours = true
	a.wanted = wantedBy(done.Plan)
	if done.Changes.Empty() {
		a.Log.Info("the kernel holds the policy", "classes", len(done.Plan.Classes), "uplinks", len(done.Plan.Uplinks))
	} else {
		a.Log.Info("applied the policy", "classes", len(done.Plan.Classes), "uplinks", len(done.Plan.Uplinks),
			"rules", len(done.Changes.AddRules)+len(done.Changes.DeleteRules),
			"routes", len(done.Changes.AddRoutes)+len(done.Changes.DeleteRoutes),
			"hooks", len(done.Changes.Attach)+len(done.Changes.Detach), "flows", done.Walked.String())
	}
	return nil
}

// bring applies the files. Those that nobody confirmed when they were tried are not
// what this begins with: what they went back to is in force, or comes back after a
// start of the machine. It returns nil where that is nothing, or there already.
func (a *Agent) bring(policy *classes.Policy) (*loader.Applied, error) {
	if a.begun {
		a.settle("tried")
		return a.Loader.Apply(policy)
	}
	is, before, err := a.Loader.Unconfirmed(policy)
	if err != nil {
		a.complain("tried", err.Error())
	}
	if !is {
		return a.Loader.Apply(policy)
	}
	a.complain("tried", "the policy files were tried, and nobody confirmed them: what was before them stays; `waymark apply` applies them, or a change of the files")
	if before == nil {
		return nil, nil
	}
	if _, err := a.Loader.State(); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return a.Loader.Resume(before)
}

func monotonic() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}
