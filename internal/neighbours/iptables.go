// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"strconv"
	"strings"

	"waymark/internal/registry"
)

// iptablesFindings are rules of iptables that look at marks or change them.
func iptablesFindings(h Host) (found []Finding) {
	h.eachIptables(func(command, table, line string, words []string) {
		for _, u := range iptablesUses(words) {
			u.rule = fmt.Sprintf("%s -t %s %s", command, table, line)
			u.remove = fmt.Sprintf("%s -t %s -D%s", command, table, strings.TrimPrefix(line, "-A"))
			found = append(found, h.finding(u))
		}
	})
	return found
}

// eachIptables calls do with every rule, as a line and in words.
func (h Host) eachIptables(do func(command, table, line string, words []string)) {
	for _, saved := range h.Iptables {
		for _, t := range saved.Tables() {
			for _, line := range t.Rules {
				do(saved.Command, t.Name, line, strings.Fields(line))
			}
		}
	}
}

// iptablesUses are what a rule does with marks. Other matches have options of
// the same names, so each is judged by the -m or -j that it stands behind.
func iptablesUses(words []string) (uses []markUse) {
	module := ""
	for k := 0; k+1 < len(words); k++ {
		value := words[k+1]
		switch words[k] {
		case "-m", "-j":
			module = value
		case "--mark":
			if module == "mark" {
				uses = append(uses, markUse{kind: matches, mark: marked(value)})
			}
		case "--set-xmark", "--set-mark", "--and-mark", "--or-mark", "--xor-mark":
			if module == "MARK" {
				uses = append(uses, markUse{kind: sets, mark: marked(value)})
			}
		}
	}
	if module == "CONNMARK" {
		uses = append(uses, restored(words)...)
	}
	return uses
}

// restored is what `CONNMARK --restore-mark` puts into the packet's mark.
func restored(words []string) []markUse {
	found, mask := false, uint32(registry.Whole)
	for k, word := range words {
		switch {
		case word == "--restore-mark":
			found = true
		case word == "--nfmask" && k+1 < len(words), word == "--mask" && k+1 < len(words):
			mask = marked(words[k+1]).Mark
		}
	}
	if !found {
		return nil
	}
	return []markUse{{kind: restores, mark: Mark{0, mask}}}
}

// marked reads MARK or MARK/MASK; what is no number is 0.
func marked(text string) Mark {
	mark, mask, masked := strings.Cut(text, "/")
	m := Mark{Mask: registry.Whole}
	if n, err := strconv.ParseUint(mark, 0, 32); err == nil {
		m.Mark = uint32(n)
	}
	if n, err := strconv.ParseUint(mask, 0, 32); masked && err == nil {
		m.Mask = uint32(n)
	}
	return m
}
