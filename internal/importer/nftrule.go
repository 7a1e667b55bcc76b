// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/filters"
	"waymark/internal/plan"
	"waymark/internal/registry"
)

// nftTurned is a rule of nftables, as it is read.
type nftTurned struct {
	*nftables
	step
	rule        *filters.Rule
	family      plan.Family
	by          []keyed // what it sets by a map; nil: what the step says
	verdict     string
	jump        string
	otherFamily bool
}

// keyed is an element of a map from traffic to marks.
type keyed struct {
	match classes.Match
	mark  uint32
}

// branches are the rule's statements, or, where it ends by a map to verdicts,
// those of a rule for each element.
func (n *nftables) branches(r *filters.Rule) [][]map[string]any {
	last := len(r.Expr) - 1
	if last < 0 {
		return nil
	}
	m, _ := r.Expr[last]["vmap"].(map[string]any)
	var all [][]map[string]any
	for _, pair := range n.elements(r, m["data"]) {
		two, ok := pair.([]any)
		verdict, isVerdict := map[string]any(nil), false
		if ok && len(two) == 2 {
			verdict, isVerdict = two[1].(map[string]any)
		}
		if !isVerdict {
			return [][]map[string]any{r.Expr}
		}
		match := map[string]any{"match": map[string]any{"op": "==", "left": m["key"], "right": two[0]}}
		all = append(all, slices.Concat(r.Expr[:last], []map[string]any{match, verdict}))
	}
	if all == nil {
		return [][]map[string]any{r.Expr}
	}
	return all
}

// statements are all those of some rules.
func (n *nftables) statements(rules []*filters.Rule) (all []map[string]any) {
	for _, r := range rules {
		for _, branch := range n.branches(r) {
			all = append(all, branch...)
		}
	}
	return all
}

// jumped is the chain that a statement goes to.
func jumped(statement map[string]any) (target string, ok bool) {
	for _, verdict := range []string{"jump", "goto"} {
		if body, is := statement[verdict].(map[string]any); is {
			target, ok = body["target"].(string)
		}
	}
	return target, ok
}

// read takes the rule's statements.
func (t *nftTurned) read(statements []map[string]any) {
	t.origin = fmt.Sprintf("nft rule of table %s %s, chain %s, handle %d", t.rule.Family, t.rule.Table, t.rule.Chain, t.rule.Handle)
	for _, x := range statements {
		for kind, value := range x {
			if err := t.statement(kind, value); errors.Is(err, errOther) {
				t.otherFamily = true
			} else if err != nil {
				t.lost = errors.Join(t.lost, err)
			}
		}
	}
}

// matters tells whether the rule marks what it takes, or sends it elsewhere.
func (t *nftTurned) matters() bool { return !t.otherFamily && (t.sets || t.verdict != "") }

func (t *nftTurned) statement(kind string, value any) error {
	body, _ := value.(map[string]any)
	switch kind {
	case "match":
		return t.condition(body)
	case "mangle":
		return t.mangle(body)
	case "accept", "return":
		t.verdict = kind
	case "jump", "goto":
		t.verdict = kind
		t.jump, _ = body["target"].(string)
	case "counter", "comment", "log", "continue":
	case "drop", "reject": // what is dropped has no class
	default:
		return fmt.Errorf("a class does not %s", kind)
	}
	return nil
}

// mangle reads `meta mark set`; the connection's mark is not needed, for a
// flow keeps its class without it.
func (t *nftTurned) mangle(body map[string]any) (err error) {
	if keyName(body["key"]) != "meta mark" || keyName(body["value"]) == "ct mark" {
		return nil
	}
	t.sets = true
	m, _ := body["value"].(map[string]any)
	if of, ok := m["map"].(map[string]any); ok {
		return t.byMap(of)
	}
	t.clears, t.flips, err = changes(body["value"])
	return err
}

// changes are the bits that a value for the mark clears, and then flips.
func changes(x any) (clears, flips uint32, err error) {
	m, _ := x.(map[string]any)
	if keyName(x) == "meta mark" && m["meta"] != nil {
		return 0, 0, nil
	}
	for _, op := range []string{"&", "|", "^"} {
		pair, ok := m[op].([]any)
		if !ok || len(pair) != 2 {
			continue
		}
		if clears, flips, err = changes(pair[0]); err != nil {
			return 0, 0, err
		}
		n, err := nftNumber(pair[1])
		switch op {
		case "&":
			clears, flips = clears|^n, flips&n
		case "|":
			clears, flips = clears|n, flips|n
		case "^":
			flips ^= n
		}
		return clears, flips, err
	}
	n, err := nftNumber(x)
	return registry.Whole, n, err
}

// byMap reads `meta mark set meta skuid map { 1000 : 0x1 }`.
func (t *nftTurned) byMap(of map[string]any) error {
	if keyName(of["key"]) == "" {
		text, _ := json.Marshal(of["key"])
		if strings.Contains(string(text), "numgen") || strings.Contains(string(text), "hash") {
			return errShare
		}
		return fmt.Errorf("a match has nothing like %s", text)
	}
	for _, pair := range t.elements(t.rule, of["data"]) {
		two, ok := pair.([]any)
		if !ok || len(two) != 2 {
			return errors.New("a map that is not understood")
		}
		var k keyed
		var err error
		if k.mark, err = nftNumber(two[1]); err == nil {
			err = t.field(&k.match, of["key"], two[0])
		}
		if err != nil {
			return err
		}
		t.by = append(t.by, k)
	}
	return nil
}

// steps are what the rule does: one thing, or one for each key of its map.
func (t *nftTurned) steps() (all []step) {
	switch {
	case t.by == nil && t.jump != "" && !t.sets:
		return nil
	case t.by == nil:
		return []step{t.step}
	}
	for _, k := range t.by {
		one := t.step
		one.clears, one.flips, one.leaves = registry.Whole, k.mark, 0
		if err := restrict(&one.match, k.match); err != nil {
			one.lost = errors.Join(one.lost, err)
		}
		all = append(all, one)
	}
	rest := t.step
	rest.sets = false
	return append(all, rest)
}

// condition reads a match.
func (t *nftTurned) condition(body map[string]any) error {
	op, _ := body["op"].(string)
	left := keyName(body["left"])
	switch {
	case left == "meta mark":
		return t.isMarked(body, op)
	case left == "ct mark":
		return ofNew(body["right"], op)
	case left == "ct state" && fmt.Sprint(body["right"]) == "new":
		return nil
	case left == "meta nfproto":
		if want := map[plan.Family]string{plan.IPv4: "ipv4", plan.IPv6: "ipv6"}[t.family]; (body["right"] == want) != (op != "!=") {
			return errOther
		}
		return nil
	case left == "":
		text, _ := json.Marshal(body["left"])
		return fmt.Errorf("a match has nothing like %s", text)
	case op != "==" && op != "in":
		return fmt.Errorf("a match has no `%s %s`: write what it takes", left, op)
	}
	var m classes.Match
	if err := t.field(&m, body["left"], body["right"]); err != nil {
		return err
	}
	return restrict(&t.match, m)
}

// ofNew reads a condition on the mark of a connection; a new one has none.
func ofNew(value any, op string) error {
	v, err := nftNumber(value)
	if err != nil || (v == 0) == (op == "!=") {
		return errKnown
	}
	return nil
}

// isMarked reads a condition on the mark that a packet has already.
func (t *nftTurned) isMarked(body map[string]any, op string) error {
	v, err := nftNumber(body["right"])
	mask := uint32(registry.Whole)
	left, _ := body["left"].(map[string]any)
	if pair, ok := left["&"].([]any); ok && len(pair) == 2 && err == nil {
		mask, err = nftNumber(pair[1])
	}
	if err != nil || op != "==" && op != "!=" {
		return errors.New("it asks for some of the marks: write its order as that of the classes")
	}
	t.looks = append(t.looks, look{v, mask, op == "!="})
	return nil
}

// errOther is the error of a rule for the other family.
var errOther = errors.New("it is for the other family")

// field reads the value, or the values, of one selector.
func (t *nftTurned) field(m *classes.Match, left, right any) error {
	values, err := t.values(right)
	if err != nil {
		return err
	}
	key, text := keyName(left), strings.Join(values, ",")
	switch key {
	case "ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr":
		if !shows(strings.Fields(key)[0], t.family) {
			return errOther
		}
	}
	switch key {
	case "ip saddr", "ip6 saddr":
		m.Src, err = prefixes(text)
	case "ip daddr", "ip6 daddr":
		m.Dst, err = prefixes(text)
	case "meta l4proto", "ip protocol", "ip6 nexthdr":
		m.Proto, err = protocols(text)
	case "tcp dport", "udp dport", "sctp dport", "th dport":
		m.Dport, err = ports(text)
	case "tcp sport", "udp sport", "sctp sport", "th sport":
		m.Sport, err = ports(text)
	case "meta iifname", "meta iif":
		m.IIF = values
	case "meta skuid":
		for _, v := range values {
			one, _ := users(v)
			m.UID = append(m.UID, one...)
		}
	case "socket cgroupv2":
		for _, v := range values {
			m.Cgroup = append(m.Cgroup, strings.Trim(v, "/"))
		}
	default:
		return fmt.Errorf("a match has no %q", key)
	}
	if name, _, _ := strings.Cut(key, " "); numbered[name] != 0 && len(m.Dport)+len(m.Sport) > 0 {
		m.Proto = []uint8{numbered[name]}
	}
	return err
}
