// SPDX-License-Identifier: Apache-2.0

// Package filters reads what nft and iptables-save print of a host's filters,
// for whoever looks at what these do. Pure.
package filters

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Ruleset is nftables' as `nft -j list ruleset` prints it (libnftables-json(5)).
type Ruleset struct {
	Chains []Chain
	Rules  []Rule // in the order of their chains
	Sets   []Set  // and maps
}

// Chain is one of a table's. Hook is "" of one that is only jumped to.
type Chain struct {
	Family, Table, Name, Type, Hook string
	Prio                            int
}

// Rule is one of a chain's; each statement has its kind for a key.
type Rule struct {
	Family, Table, Chain string
	Handle               int
	Expr                 []map[string]any
}

// Set is a set or a map that has a name. An element of a map is a pair.
type Set struct {
	Family, Table, Name string
	Elem                []any
	Flags               any // a word, or several
}

// Changes tells whether packets, or time, change what is in the set.
func (s Set) Changes() bool {
	text := fmt.Sprint(s.Flags)
	return strings.Contains(text, "dynamic") || strings.Contains(text, "timeout")
}

// ParseNft reads a ruleset. An error says that the text is none.
func ParseNft(text []byte) (r Ruleset, err error) {
	var printed struct {
		Nftables []struct {
			Chain    *Chain
			Rule     *Rule
			Set, Map *Set
		}
	}
	if err := json.Unmarshal(text, &printed); err != nil {
		return r, fmt.Errorf("read what `nft -j list ruleset` printed: %w", err)
	}
	for _, o := range printed.Nftables {
		r.Chains = appendIf(r.Chains, o.Chain)
		r.Rules = appendIf(r.Rules, o.Rule)
		r.Sets = appendIf(appendIf(r.Sets, o.Set), o.Map)
	}
	return r, nil
}

func appendIf[T any](all []T, one *T) []T {
	if one == nil {
		return all
	}
	return append(all, *one)
}
