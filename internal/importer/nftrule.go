// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/filters"
	"waymark/internal/plan"
)

// nftTurned is a rule of nftables, as it is read.
type nftTurned struct {
	*nftables
	rule       *filters.Rule
	family     plan.Family
	match      classes.Match
	by         []keyed // what it sets by a map; nil: mark
	mark       uint32
	sets       bool
	does       effect
	returns    bool
	jump       string
	unmarked   bool
	marked     bool
	aboutMarks bool
}

// keyed is an element of a map from traffic to marks.
type keyed struct {
	match classes.Match
	mark  uint32
}

func (t *nftTurned) origin() string {
	return fmt.Sprintf("nft rule of table %s %s, chain %s, handle %d", t.rule.Family, t.rule.Table, t.rule.Chain, t.rule.Handle)
}

// read takes the rule's statements. What is wrong with one matters only if the
// rule is about marks, so all are looked at.
func (t *nftTurned) read() error {
	var wrong error
	for _, x := range t.rule.Expr {
		for kind, value := range x {
			if err := t.statement(kind, value); err != nil {
				wrong = errors.Join(wrong, err)
			}
		}
	}
	ends := t.does == stops && !t.sets
	t.aboutMarks = t.aboutMarks || t.sets
	if !t.sets && !ends && t.jump == "" {
		return errors.New("it does nothing with marks")
	}
	return wrong
}

func (t *nftTurned) statement(kind string, value any) error {
	body, _ := value.(map[string]any)
	switch kind {
	case "match":
		return t.condition(body)
	case "mangle":
		return t.mangle(body)
	case "accept", "return":
		t.does, t.returns = stops, kind == "return"
	case "jump", "goto":
		t.jump, _ = body["target"].(string)
	case "counter", "comment", "log":
	default:
		return fmt.Errorf("a class does not %s", kind)
	}
	return nil
}

// mangle reads `meta mark set`; the connection's mark is not needed, for a
// flow keeps its class without it.
func (t *nftTurned) mangle(body map[string]any) (err error) {
	if keyName(body["key"]) != "meta mark" {
		return nil
	}
	value := body["value"]
	m, _ := value.(map[string]any)
	if keyName(value) == "ct mark" {
		return nil
	}
	t.sets = true
	if of, ok := m["map"].(map[string]any); ok {
		return t.byMap(of)
	}
	for _, op := range []string{"|", "^"} {
		if pair, ok := m[op].([]any); ok && len(pair) == 2 {
			value = pair[1]
		}
	}
	t.mark, err = nftNumber(value)
	return err
}

// byMap reads `meta mark set meta skuid map { 1000 : 0x1 }`.
func (t *nftTurned) byMap(of map[string]any) error {
	for _, pair := range t.elements(of["data"]) {
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
	s := step{family: t.family, match: t.match, mark: t.mark, unmarked: t.unmarked, marked: t.marked, origin: t.origin()}
	if !t.sets {
		s.does = stops
		return []step{s}
	}
	if t.by == nil {
		all = []step{s}
	}
	for _, k := range slices.Backward(t.by) {
		one := s
		one.mark = k.mark
		if err := restrict(&one.match, k.match); err != nil {
			t.leave(s.origin, err.Error())
			continue
		}
		all = append(all, one)
	}
	return all
}

// condition reads a match; one on the packet's own mark is of use only if it
// asks whether there is one.
func (t *nftTurned) condition(body map[string]any) error {
	op, _ := body["op"].(string)
	left := keyName(body["left"])
	switch {
	case left == "meta mark":
		t.aboutMarks = true
		v, err := nftNumber(body["right"])
		if err != nil || v != 0 {
			return errors.New("it asks for a certain mark: write its order as that of the classes")
		}
		t.marked, t.unmarked = op == "!=", op != "!="
		return nil
	case left == "ct mark":
		return nil
	case left == "ct state" && fmt.Sprint(body["right"]) == "new":
		return nil
	case left == "meta nfproto":
		if want := map[plan.Family]string{plan.IPv4: "ipv4", plan.IPv6: "ipv6"}[t.family]; (body["right"] == want) != (op != "!=") {
			return errOther
		}
		return nil
	case op != "==" && op != "in":
		return fmt.Errorf("a match has no `%s %s`: write what it takes", left, op)
	}
	var m classes.Match
	if err := t.field(&m, body["left"], body["right"]); err != nil {
		return err
	}
	return restrict(&t.match, m)
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
