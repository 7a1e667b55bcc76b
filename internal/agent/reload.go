// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// reload applies the policy files, if they are not as they were last tried or
// somebody asked. A policy that is wrong changes nothing.
func (a *Agent) reload(asked bool) {
	if asked {
		a.Notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds()))
	}
	if err := a.apply(asked); err != nil {
		a.complain("policy", fmt.Sprintf("the policy is not applied, the one before stays: %v", err))
	}
	a.look(false)
	if asked {
		a.Notify("READY=1")
	}
}

// apply reads the files and applies them, unless they are those that were
// tried last.
func (a *Agent) apply(always bool) error {
	policy, err := a.Load()
	if err != nil {
		a.files = nil
		return err
	}
	files := policy.Files()
	if !always && slices.Equal(files, a.files) {
		return nil
	}
	a.files = files
	done, err := a.Loader.Apply(policy)
	if err != nil {
		return err
	}
	a.settle("policy")
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
