// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"waymark/internal/filters"
	"waymark/internal/registry"
)

// eachIptablesUse calls do with what rules of iptables do with marks.
func (h Host) eachIptablesUse(do func(markUse)) {
	h.eachIptables(func(command, table, line string, words []string) {
		for _, u := range iptablesUses(words) {
			u.rule = iptablesRule(command, table, line)
			u.remove = iptablesRemoval(command, table, words)
			u.owner, u.comes = registry.OwnerOfFilter(words[1]), words[1] == "PREROUTING"
			do(u)
		}
	})
}

// iptablesRule says which rule of iptables one is, and iptablesRemoval the command that removes it.
func iptablesRule(command, table, line string) string {
	return fmt.Sprintf("%s -t %s %s", command, table, line)
}

func iptablesRemoval(command, table string, words []string) string {
	return fmt.Sprintf("%s -t %s -D %s", command, table, forShell(words[1:]))
}

// eachIptables calls do with every rule, as a line and in words.
func (h Host) eachIptables(do func(command, table, line string, words []string)) {
	for _, saved := range h.Iptables {
		for _, t := range saved.Tables() {
			for _, line := range t.Rules {
				if words := filters.Words(line); len(words) > 1 {
					do(saved.Command, t.Name, line, words)
				}
			}
		}
	}
}

// forShell are words as a shell takes them: comments may hold anything.
func forShell(words []string) string {
	quoted := make([]string, len(words))
	for k, word := range words {
		quoted[k] = word
		if word == "" || strings.ContainsFunc(word, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-+_./:,!=@%", r)
		}) {
			quoted[k] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
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
				uses = append(uses, markUse{kind: sets, mark: changed(value)})
			}
		case "--tproxy-mark":
			if m := changed(value); module == "TPROXY" && m.Mask != 0 {
				uses = append(uses, markUse{kind: sets, mark: m})
			}
		case "--hmark-offset":
			if module == "HMARK" {
				uses = append(uses, markUse{kind: sets, mark: Mark{marked(value).Mark, registry.Whole}})
			}
		}
	}
	if module == "CONNMARK" {
		uses = append(uses, connected(words)...)
	}
	return uses
}

// connected is what CONNMARK puts into the packet's mark, or the connection's.
func connected(words []string) []markUse {
	after := map[string]string{}
	for k, word := range words {
		after[word] = ""
		if k+1 < len(words) {
			after[word] = words[k+1]
		}
	}
	mask := func(option string) uint32 {
		for _, name := range []string{option, "--mask"} {
			if text, ok := after[name]; ok {
				return marked(text).Mark
			}
		}
		return registry.Whole
	}
	if _, ok := after["--restore-mark"]; ok {
		return []markUse{{kind: restores, mark: Mark{0, mask("--nfmask")}}}
	}
	if _, ok := after["--save-mark"]; ok {
		return []markUse{{kind: remembers, mark: Mark{0, mask("--ctmask")}}}
	}
	for _, option := range []string{"--set-xmark", "--set-mark"} {
		if text, ok := after[option]; ok {
			return []markUse{{kind: remembers, mark: changed(text)}}
		}
	}
	return nil
}

// changed reads MARK/MASK of what clears the mask's bits and flips the mark's.
func changed(text string) Mark {
	m := marked(text)
	return Mark{m.Mark, m.Mask | m.Mark}
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
