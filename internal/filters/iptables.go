// SPDX-License-Identifier: Apache-2.0

package filters

import "strings"

// Saved is what one of the iptables-save commands printed.
type Saved struct {
	Command string // without "-save", or the file that it was written to
	Text    string
}

// Table is one of iptables', with its rules as iptables-save words them, from
// "-A" on. Rules that stand before any table are of one without a name.
type Table struct {
	Name  string
	Rules []string
}

// Tables are those of a text, in its order.
func (s Saved) Tables() []Table {
	tables := []Table{{}}
	for line := range strings.SplitSeq(s.Text, "\n") {
		line = strings.TrimLeft(line, " \t")
		last := &tables[len(tables)-1]
		if name, begins := strings.CutPrefix(line, "*"); begins {
			tables = append(tables, Table{Name: strings.TrimSpace(name)})
		} else if strings.HasPrefix(line, "-A ") {
			last.Rules = append(last.Rules, line)
		}
	}
	return tables
}
