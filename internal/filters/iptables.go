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

// Words are those of a line; one in double quotes may hold blanks, and a
// backslash there says that what follows stands for itself.
func Words(line string) (words []string) {
	var word strings.Builder
	quoted, begun := false, false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for k := 0; k < len(line); k++ {
		switch b := line[k]; {
		case b == '"':
			quoted, begun = !quoted, true
		case b == '\\' && quoted && k+1 < len(line):
			k++
			word.WriteByte(line[k])
		case !quoted && (b == ' ' || b == '\t' || b == '\r'):
			end()
		default:
			word.WriteByte(b)
			begun = true
		}
	}
	end()
	return words
}
