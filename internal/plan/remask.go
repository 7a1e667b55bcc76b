// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"

	"waymark/classes"
)

// maskNotes are about open connections that a change of the mask drops. Numbers
// are those of one mask: every open connection is in its class as that is now,
// and one that was left by an uplink which the class must not leak by has no way.
func (m *maker) maskNotes(note func(string, ...any)) {
	if len(m.last.Classes) == 0 || m.last.Mask == m.plan.Mask {
		return
	}
	for _, u := range m.plan.Uplinks {
		shut := m.shutOut(u.Name)
		if len(shut) == 0 {
			continue
		}
		of := "class " + strings.Join(shut, " or ")
		if len(shut) > 3 {
			of = fmt.Sprintf("one of %d classes", len(shut))
		}
		note("the mask changes: open connections from addresses of uplink %s are dropped if they are of %s, which may not leave by it: first apply the new mask with the routes as they are; those that an earlier change kept there have to end before it", u.Name, of)
	}
}

// shutOut are the classes that an open connection by an uplink may be of, and
// that may not leave by that uplink.
func (m *maker) shutOut(uplink string) (names []string) {
	open, any := m.openBy(uplink)
	for i := range m.plan.Classes {
		c := &m.plan.Classes[i]
		mayLeave := c.Route.Otherwise == classes.OtherwiseMain || slices.Contains(c.Route.Uplinks, uplink)
		if (any || open[c.Name]) && !mayLeave && c.Fate != classes.FateReset {
			names = append(names, c.Name)
		}
	}
	return names
}

// openBy are the classes that open connections have by the last plan, with an
// uplink in their way; any, if there is one that an earlier change kept, or whose
// class is gone: it may be of any class now.
func (m *maker) openBy(uplink string) (open map[string]bool, any bool) {
	open = map[string]bool{}
	owners := map[uint32]string{}
	for name, n := range m.last.Classes {
		owners[n] = name
	}
	for mark := range m.facts.InUse {
		n := m.last.Mask.Gather(mark)
		if !slices.ContainsFunc(m.last.Blocks, func(b Block) bool { return b.contains(n) && slices.Contains(b.Way.Uplinks, uplink) }) {
			continue
		}
		if _, lives := m.plan.Numbers.Classes[owners[n]]; lives {
			open[owners[n]] = true
		} else {
			any = true
		}
	}
	return open, any
}
