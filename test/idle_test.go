// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// TestAgentIsIdle keeps a thousand classes where nothing happens: beats, two
// a second, take no fiftieth of a CPU. (It is CPU time that is bound; on a
// machine that is busy each beat only comes later.)
func TestAgentIsIdle(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	a := s.agent(t, thousandClasses())
	soon(t, "it has settled", func() error {
		begun := a.processorTime(t)
		time.Sleep(2 * time.Second)
		if used := a.processorTime(t) - begun; used > 100*time.Millisecond {
			return fmt.Errorf("it used %s in 2 s", used)
		}
		return nil
	})
	begun := a.processorTime(t)
	const waited = 10 * time.Second
	time.Sleep(waited)
	used := a.processorTime(t) - begun
	t.Logf("%s of CPU time in %s", used, waited)
	if used > waited/50 {
		t.Errorf("it used %s of CPU time in %s", used, waited)
	}
	a.stop(t)
}

// processorTime is what an agent has used of the CPUs.
func (r *agentRun) processorTime(t *testing.T) time.Duration {
	t.Helper()
	text := must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.Process.Pid)))
	fields := strings.Fields(string(text[strings.LastIndex(string(text), ")"):]))
	user, err1 := strconv.Atoi(fields[12])
	system, err2 := strconv.Atoi(fields[13])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
