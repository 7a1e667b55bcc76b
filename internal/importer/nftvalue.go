// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"waymark/internal/filters"
)

// keyName is an expression as nft writes it: "meta mark", "ip saddr"; "" for
// one that is none of the kind.
func keyName(x any) string {
	m, _ := x.(map[string]any)
	for kind, body := range m {
		of, _ := body.(map[string]any)
		switch kind {
		case "meta", "ct", "socket":
			key, _ := of["key"].(string)
			return kind + " " + key
		case "payload":
			protocol, _ := of["protocol"].(string)
			field, _ := of["field"].(string)
			return protocol + " " + field
		case "&":
			if pair, ok := body.([]any); ok && len(pair) == 2 {
				return keyName(pair[0])
			}
		}
	}
	return ""
}

// values are an expression's in words: one, or those of a set.
func (t *nftTurned) values(x any) (all []string, err error) {
	switch v := x.(type) {
	case string:
		if strings.HasPrefix(v, "@") {
			if s := t.named(t.rule, v); s.Changes() {
				return nil, fmt.Errorf("what is in the set %s comes and goes: a match has what it is told, until it is told another", s.Name)
			}
			return t.valuesOf(t.elements(t.rule, x))
		}
		return []string{v}, nil
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}, nil
	case map[string]any:
		if p, ok := v["prefix"].(map[string]any); ok {
			return []string{fmt.Sprintf("%v/%v", p["addr"], p["len"])}, nil
		}
		if r, ok := v["range"].([]any); ok && len(r) == 2 {
			ends, err := t.valuesOf(r)
			return []string{strings.Join(ends, "-")}, err
		}
		if e, ok := v["elem"].(map[string]any); ok {
			return t.values(e["val"])
		}
		if _, ok := v["set"]; ok {
			return t.valuesOf(t.elements(t.rule, x))
		}
	}
	text, _ := json.Marshal(x)
	return nil, fmt.Errorf("%s is not understood", text)
}

func (t *nftTurned) valuesOf(elements []any) (all []string, err error) {
	for _, e := range elements {
		one, err := t.values(e)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	if len(all) == 0 {
		return nil, errors.New("a set without elements: write down what will be in it")
	}
	return all, nil
}

// elements are those of a set or map, written here or by its name.
func (n *nftables) elements(r *filters.Rule, x any) []any {
	if name, ok := x.(string); ok {
		return n.named(r, name).Elem
	}
	m, _ := x.(map[string]any)
	set, _ := m["set"].([]any)
	return set
}

func nftNumber(x any) (uint32, error) {
	switch v := x.(type) {
	case float64:
		return uint32(v), nil
	case string:
		return number(v)
	}
	return 0, errors.New("a mark that is no number")
}
