// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"fmt"
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
		if words := quotedFields(rule); len(words) > 2 {
			t.chains[words[1]] = append(t.chains[words[1]], words[2:])
		}
	}
	if t.name == "nat" || t.name == "filter" && !t.marks() {
		return
	}
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		steps := t.walk(chain, chain == "PREROUTING", classes.Match{}, 0)
		if slices.ContainsFunc(steps, func(s step) bool { return s.does == sets }) {
			t.chain(strings.ToLower(chain), steps)
		}
	}
}

// marks tells whether any rule of the table sets marks.
func (t *table) marks() bool {
	for _, rules := range t.chains {
		for _, words := range rules {
			if slices.Contains(words, "MARK") {
				return true
			}
		}
	}
	return false
}

const mostJumps = 16

// walk turns a chain into steps, those of the chains that it jumps to within.
func (t *table) walk(chain string, incoming bool, outer classes.Match, depth int) (steps []step) {
	for _, words := range t.chains[chain] {
		r := iptablesRule{step: step{family: t.family, origin: fmt.Sprintf("%s -t %s -A %s %s", t.command, t.name, chain, strings.Join(words, " "))}}
		err := r.read(words)
		switch _, jumps := t.chains[r.target]; {
		case jumps && depth < mostJumps && err == nil && restrict(&r.match, outer) == nil:
			steps = append(steps, t.walk(r.target, incoming, r.match, depth+1)...)
			continue
		case r.target != "MARK" && r.target != "RETURN" && r.target != "ACCEPT" && !jumps:
			continue // it is not about marks
		case err == nil && r.target == "RETURN" && depth > 0:
			err = errors.New("RETURN inside a chain of one's own: write its order as that of the classes")
		}
		if err == nil {
			err = restrict(&r.match, outer)
		}
		if err == nil && incoming && len(r.match.IIF) == 0 && !(r.does == stops && r.marked) {
			err = errForwarded
		}
		if err != nil {
			t.leave(r.origin, err.Error())
			continue
		}
		steps = append(steps, r.step)
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
	for k, word := range words {
		if word == "-j" || word == "-g" {
			r.target = words[min(k+1, len(words)-1)]
		}
	}
	if r.target == "RETURN" || r.target == "ACCEPT" {
		r.does = stops
	}
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
	if r.not && (r.module != "mark" || option != "--mark") {
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
	case "--set-xmark", "--set-mark", "--or-mark", "--xor-mark":
		r.mark, err = number(value)
		return err
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
		return errors.New("a share of the traffic: write a balance, `route: {fiber: 3, lte: 1}`")
	case "tcp", "udp", "udplite", "sctp", "dccp", "multiport", "owner", "cgroup", "mark", "connmark", "comment", "conntrack", "state":
		return nil
	}
	return fmt.Errorf("a match has nothing like `-m %s`", module)
}

// isMarked reads a condition on the mark that a packet has already: of use are
// only those that ask whether it has one.
func (r *iptablesRule) isMarked(value string) error {
	v, err := number(value)
	switch {
	case err != nil:
		return err
	case v != 0:
		return fmt.Errorf("it asks for the mark %s: write its order as that of the classes", value)
	case r.module == "connmark":
		return nil // that of a new connection
	}
	r.marked, r.unmarked = r.not, !r.not
	return nil
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

// quotedFields are a line's words; one in double quotes may hold blanks.
func quotedFields(line string) (words []string) {
	for k, part := range strings.Split(line, `"`) {
		if k%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}
