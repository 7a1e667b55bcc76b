// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"

	"waymark/internal/datapath"
	"waymark/internal/plan"
	"waymark/internal/probe"
)

// TestNoSignOfLife has an uplink fail that never answered this agent, as after a
// restart beside a dead gateway: there is no time that it took.
func TestNoSignOfLife(t *testing.T) {
	a := &Agent{probes: probe.New()}
	defer a.probes.Close()
	l := a.lossOf(&plan.Uplink{Name: "lte", Up: true}, "nobody answers")
	if l.Cause != datapath.TurnGateway {
		t.Errorf("its cause is %v", l.Cause)
	}
	if ago := monotonic() - l.Since; ago < hopeless {
		t.Errorf("it is said to have lived %v ago", ago)
	}
}
