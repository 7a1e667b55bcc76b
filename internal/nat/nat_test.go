// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// TestExplained has a kernel refuse a table for want of modules, and otherwise.
func TestExplained(t *testing.T) {
	snat, answers := plan.Table{SNAT: []plan.SNAT{{}}}, plan.Table{Answers: []plan.Answer{{}}}
	for _, c := range []struct {
		want    plan.Table
		err     error
		modules bool
	}{{snat, unix.ENOENT, true}, {snat, unix.EOPNOTSUPP, true}, {snat, unix.EPERM, false}, {answers, unix.ENOENT, false}} {
		got := explained(c.want, fmt.Errorf("receive: %w", c.err))
		if strings.Contains(got.Error(), "modprobe") != c.modules || !strings.Contains(got.Error(), c.err.Error()) {
			t.Errorf("%+v, %v: %v", c.want, c.err, got)
		}
	}
}
