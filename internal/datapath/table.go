// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"sync"

	"waymark/internal/match"
	"waymark/internal/plan"
)

// Compiled is the table of a plan's matches, made when it is first called.
type Compiled func() (*match.Table, error)

// Compile is the table of a plan, whose cgroup paths start below root. The
// plan must not change any more.
func Compile(p *plan.Plan, root match.Root) Compiled {
	return sync.OnceValues(func() (*match.Table, error) {
		return match.CompileLines(len(p.Lines), func(k int) *match.Match { return &p.Lines[k].Match }, marks(p), root)
	})
}

// marks are the verdicts of a plan's lines.
func marks(p *plan.Plan) []uint32 {
	all := make([]uint32, len(p.Lines))
	for k := range p.Lines {
		all[k] = p.ClassMark(p.Lines[k].Class)
	}
	return all
}

// build makes one version of the table.
func (i *Instance) build(version uint32, compiled Compiled, scan Scan) error {
	table, err := compiled()
	if err != nil {
		return err
	}
	return i.putVersion(version, table, scan)
}
