// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"waymark/classes"
	"waymark/internal/filters"
	"waymark/internal/plan"
)

// addIptables takes the mark rules of iptables-save's text.
func (c *carrier) addIptables(all []filters.Saved) {
	for _, saved := range all {
		for _, t := range saved.Tables() {
			c.addTable(saved, t)
		}
	}
}

// table is one of iptables', whose rules are read.
type table struct {
	*carrier
	family  plan.Family
	command string
	name    string
	chains  map[string][][]string // rules in words, by chain
}

// addTable takes the chains through which packets come, of a table that can
// mark.
func (c *carrier) addTable(saved filters.Saved, of filters.Table) {
	t := table{carrier: c, family: savedFamily(saved), command: saved.Command, name: of.Name, chains: map[string][][]string{}}
	for _, rule := range of.Rules {
		if words := filters.Words(rule); len(words) > 2 {
			t.chains[words[1]] = append(t.chains[words[1]], words[2:])
		}
	}
	w := walk{marking: t.marking()}
	if t.name == "nat" || len(w.marking) == 0 {
		return
	}
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		steps := t.walk(&w, chain, root)
		if chain == "OUTPUT" && t.name != "mangle" {
			c.leaveMarks(steps, errNotAgain)
			continue
		}
		c.chain(t.family, strings.ToLower(chain), steps)
	}
	for _, chain := range []string{"INPUT", "FORWARD", "POSTROUTING"} {
		c.leaveMarks(t.walk(&w, chain, root), errBehind)
	}
}

// marking are the chains that set marks, or jump to one that does.
func (t *table) marking() map[string]bool {
	set, jumps := map[string]bool{}, map[string][]string{}
	for chain, rules := range t.chains {
		for _, words := range rules {
			target := targetOf(words)
			set[chain] = set[chain] || target == "MARK"
			jumps[chain] = append(jumps[chain], target)
		}
	}
	maps.DeleteFunc(set, func(_ string, sets bool) bool { return !sets })
	return leads(set, jumps)
}

// targetOf is what a rule jumps to.
func targetOf(words []string) string {
	for k, word := range words[:max(len(words)-1, 0)] {
		if word == "-j" || word == "-g" {
			return words[k+1]
		}
	}
	return ""
}

// walk turns a chain into steps, those of the chains that it jumps to within;
// outer is what the way there selects.
func (t *table) walk(w *walk, chain string, outer step) (steps []step) {
	for _, words := range t.chains[chain] {
		w.rules++
		r := iptablesRule{step: step{origin: fmt.Sprintf("%s -t %s -A %s %s", t.command, t.name, chain, strings.Join(words, " "))}}
		r.lost = r.read(words)
		_, jumps := t.chains[r.target]
		switch {
		case r.target == "MARK":
			r.sets = true
		case r.target == "RETURN":
			r.leaves = outer.leaves
		case r.target == "ACCEPT":
			r.leaves = root.leaves
		case jumps:
			steps = append(steps, w.jump(r.step, outer, r.target, slices.Contains(words, "-g"), func(inner step) []step {
				return t.walk(w, r.target, inner)
			})...)
			continue
		default:
			continue // it is not about marks
		}
		steps = append(steps, r.behind(outer))
	}
	return steps
}

// iptablesRule is one rule, as it is read.
type iptablesRule struct {
	step
	target string
	module string // the -m or -j that options belong to
	not    bool
}

func (r *iptablesRule) read(words []string) error {
	r.target = targetOf(words)
	for k := 0; k < len(words); k++ {
		if words[k] == "!" {
			r.not = true
			continue
		}
		if !strings.HasPrefix(words[k], "-") {
			return fmt.Errorf("%q is not understood", words[k])
		}
		option, value := words[k], ""
		if k+1 < len(words) && !strings.HasPrefix(words[k+1], "-") && words[k+1] != "!" {
			k++
			value = words[k]
		}
		if err := r.option(option, value); err != nil {
			return err
		}
		r.not = false
	}
	return nil
}

// option reads one.
func (r *iptablesRule) option(option, value string) (err error) {
	if r.not && option != "--mark" {
		return fmt.Errorf("a match has no `! %s`: write what it takes", option)
	}
	switch option {
	case "-m", "-j", "-g":
		r.module = value
		return r.known(option, value)
	case "--comment", "--nfmask", "--ctmask", "--restore-mark", "--save-mark":
		return nil
	case "--mark":
		return r.isMarked(value)
	case "--set-xmark", "--set-mark", "--or-mark", "--and-mark", "--xor-mark":
		return r.marks(option, value)
	case "--ctstate", "--state":
		if value != "NEW" {
			return fmt.Errorf("a match has no %q: a flow has one class from its first packet to its last", option+" "+value)
		}
		return nil
	}
	return r.field(option, value)
}

// field reads an option that a match has a field for.
func (r *iptablesRule) field(option, value string) error {
	var m classes.Match
	var err error
	switch option {
	case "-s", "--source":
		m.Src, err = prefixes(value)
	case "-d", "--destination":
		m.Dst, err = prefixes(value)
	case "-i", "--in-interface":
		m.IIF = []string{value}
	case "-p", "--protocol":
		m.Proto, err = protocols(value)
	case "--sport", "--sports", "--source-port", "--source-ports":
		m.Sport, err = ports(value)
	case "--dport", "--dports", "--destination-port", "--destination-ports":
		m.Dport, err = ports(value)
	case "--uid-owner":
		m.UID, err = users(value)
	case "--path":
		m.Cgroup = []string{strings.Trim(value, "/")}
	default:
		err = fmt.Errorf("a match has no %q", strings.TrimSpace(option+" "+value))
	}
	if err != nil {
		return err
	}
	return restrict(&r.match, m)
}

// known refuses modules whose conditions no match has.
func (r *iptablesRule) known(option, module string) error {
	if option != "-m" {
		return nil
	}
	switch module {
	case "statistic":
		return errShare
	case "tcp", "udp", "udplite", "sctp", "dccp", "multiport", "owner", "cgroup", "mark", "connmark", "comment", "conntrack", "state":
		return nil
	}
	return fmt.Errorf("a match has nothing like `-m %s`", module)
}

// isMarked reads a condition on the mark that a packet has already.
func (r *iptablesRule) isMarked(value string) error {
	mark, mask, err := markAndMask(value)
	switch {
	case err != nil:
		return err
	case r.module == "mark":
		r.looks = append(r.looks, look{mark, mask, r.not})
	case (mark == 0) == r.not:
		return errKnown
	}
	return nil // a new connection has none
}

// marks reads what a rule makes of the mark.
func (r *iptablesRule) marks(option, value string) error {
	mark, mask, err := markAndMask(value)
	switch option {
	case "--set-xmark":
		r.clears, r.flips = mask, mark
	case "--set-mark":
		r.clears, r.flips = mask|mark, mark
	case "--or-mark":
		r.clears, r.flips = mark, mark
	case "--and-mark":
		r.clears = ^mark
	case "--xor-mark":
		r.flips = mark
	}
	return err
}

// number reads N or N/MASK.
func number(text string) (uint32, error) {
	text, _, _ = strings.Cut(text, "/")
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no mark", text)
	}
	return uint32(n), nil
}
