// SPDX-License-Identifier: Apache-2.0

// Package nat reads and writes Waymark's own nftables table, and no other.
package nat

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Read returns what the table holds in the calling thread's network namespace;
// zero if there is no table.
func Read() (held plan.Table, err error) {
	c, err := nftables.New()
	if err != nil {
		return held, fmt.Errorf("read nftables: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return held, nil // a kernel without nftables has no table
	}
	if err != nil {
		return held, fmt.Errorf("list the nftables tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == plan.Nftables {
			return readTable(c, t)
		}
	}
	return held, nil
}

func readTable(c *nftables.Conn, t *nftables.Table) (held plan.Table, err error) {
	all, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return held, fmt.Errorf("list the nftables chains: %w", err)
	}
	rules := map[string][][]expr.Any{}
	for _, ch := range all {
		if ch.Table.Name != t.Name {
			continue
		}
		if !isOurs(ch) {
			held.Others++
			continue
		}
		read, err := c.GetRules(t, ch)
		if err != nil {
			return held, fmt.Errorf("list the rules of nftables table %s: %w", t.Name, err)
		}
		if len(read) == 0 {
			held.Others++ // we leave no chain empty
		}
		for _, r := range read {
			rules[ch.Name] = append(rules[ch.Name], r.Exprs)
		}
	}
	if len(rules) == 0 {
		held.Others++
	}
	decodeTable(rules, &held)
	return held, nil
}

// chains are ours, in the order in which they are made.
var chains = []nftables.Chain{
	{Name: plan.ComesChain, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityMangle},
	{Name: plan.AnswersChain, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle},
	{Name: plan.SNATChain, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource},
}

func isOurs(c *nftables.Chain) bool {
	return slices.ContainsFunc(chains, func(o nftables.Chain) bool {
		return c.Name == o.Name && c.Type == o.Type && c.Hooknum != nil && *c.Hooknum == *o.Hooknum && c.Priority != nil && *c.Priority == *o.Priority
	})
}

// Write has the table hold what is wanted, in one transaction; the zero Table
// removes it. Connections that have a source by now keep it for as long as the
// kernel knows them, and so do those that have a mark.
func Write(want plan.Table) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("write nftables: %w", err)
	}
	t := c.AddTable(&nftables.Table{Name: plan.Nftables, Family: nftables.TableFamilyINet})
	c.DelTable(t)
	put(c, t, want)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("write nftables table %s: %w", plan.Nftables, explained(want, err))
	}
	return nil
}

// explained says what is missing of a kernel that knows no translation: it names
// the expression or the kind of chain by nothing but an error number.
func explained(want plan.Table, err error) error {
	if len(want.SNAT) > 0 && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP)) {
		return fmt.Errorf("this kernel cannot translate sources: `modprobe -a nft_chain_nat nft_nat nft_masq` lets it, or leave out `snat`: %w", err)
	}
	return err
}

func put(c *nftables.Conn, t *nftables.Table, want plan.Table) {
	rules := encodeTable(want)
	if len(rules) > 0 {
		c.AddTable(t)
	}
	accept := nftables.ChainPolicyAccept
	for _, chain := range chains {
		if rules[chain.Name] == nil {
			continue
		}
		chain.Table, chain.Policy = t, &accept
		c.AddChain(&chain)
		for _, exprs := range rules[chain.Name] {
			c.AddRule(&nftables.Rule{Table: t, Chain: &chain, Exprs: exprs})
		}
	}
}

// Tracks tells whether this kernel follows connections and lets rules of
// nftables give them marks: it makes a table of such rules and takes it away in
// one transaction.
func Tracks() bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	t := c.AddTable(&nftables.Table{Name: plan.Nftables + "-probe", Family: nftables.TableFamilyINet})
	put(c, t, plan.Table{Answers: []plan.Answer{{Interface: "lo", Family: plan.IPv4, Mark: 1, Mask: 1}}})
	c.DelTable(t)
	return c.Flush() == nil
}
