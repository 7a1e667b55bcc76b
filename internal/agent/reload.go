// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
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
	done, err := a.Loader.Apply(policy)
	a.waits = errors.As(err, new(*loader.OnTrial))
	if err != nil {
		a.again.failed(time.Now())
		return err
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

func monotonic() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}
