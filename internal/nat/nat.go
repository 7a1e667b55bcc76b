// SPDX-License-Identifier: Apache-2.0

// Package nat reads and writes Waymark's own nftables table, and no other.
package nat

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Read returns the rules of the table in the calling thread's network
// namespace; none if there is no table. A rule that is not one that Waymark
// writes, and a chain that is not where Waymark has it, read as zero rules: no
// plan has such.
func Read() ([]plan.SNAT, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("read nftables: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil // a kernel without nftables has no table
	}
	if err != nil {
		return nil, fmt.Errorf("list the nftables tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == plan.SNATTable {
			return readTable(c, t)
		}
	}
	return nil, nil
}

func readTable(c *nftables.Conn, t *nftables.Table) (rules []plan.SNAT, err error) {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("list the nftables chains: %w", err)
	}
	rules = []plan.SNAT{}
	found := false
	for _, ch := range chains {
		if ch.Table.Name != t.Name {
			continue
		}
		if !isOurs(ch) {
			rules = append(rules, plan.SNAT{})
			continue
		}
		found = true
		read, err := c.GetRules(t, ch)
		if err != nil {
			return nil, fmt.Errorf("list the rules of nftables table %s: %w", t.Name, err)
		}
		for _, r := range read {
			rules = append(rules, decode(r.Exprs))
		}
	}
	if !found {
		rules = append(rules, plan.SNAT{})
	}
	return rules, nil
}

func isOurs(c *nftables.Chain) bool {
	return c.Name == plan.SNATChain && c.Type == nftables.ChainTypeNAT && c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookPostrouting &&
		c.Priority != nil && *c.Priority == *nftables.ChainPriorityNATSource
}

// Write has the table hold these rules, in one transaction; with none it
// removes the table. Connections that have a source by now keep it.
func Write(rules []plan.SNAT) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("write nftables: %w", err)
	}
	t := c.AddTable(&nftables.Table{Name: plan.SNATTable, Family: nftables.TableFamilyINet})
	c.DelTable(t)
	if len(rules) > 0 {
		accept := nftables.ChainPolicyAccept
		c.AddTable(t)
		chain := c.AddChain(&nftables.Chain{Name: plan.SNATChain, Table: t, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource, Policy: &accept})
		for _, r := range rules {
			if r.Interface == "" {
				continue // it was read, and is none of ours
			}
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: encode(r)})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("write nftables table %s: %w", plan.SNATTable, err)
	}
	return nil
}

const (
	register       = 1
	secondRegister = 2
)

// protocols are the values of `meta nfproto`.
var protocols = map[plan.Family]byte{plan.IPv4: unix.NFPROTO_IPV4, plan.IPv6: unix.NFPROTO_IPV6}

func interfaceName(name string) []byte { return append([]byte(name), make([]byte, 16-len(name))...) }

func encode(s plan.SNAT) []expr.Any {
	exprs := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: interfaceName(s.Interface)},
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{protocols[s.Family]}},
	}
	if !s.First.IsValid() {
		return append(exprs, &expr.Masq{})
	}
	n := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(protocols[s.Family]), RegAddrMin: register}
	exprs = append(exprs, &expr.Immediate{Register: register, Data: s.First.AsSlice()})
	if s.Last != s.First {
		exprs = append(exprs, &expr.Immediate{Register: secondRegister, Data: s.Last.AsSlice()})
		n.RegAddrMax = secondRegister
	}
	return append(exprs, n)
}

// decode is the rule whose expressions these are; zero for one of another
// form.
func decode(exprs []expr.Any) (s plan.SNAT) {
	for _, x := range exprs {
		switch x := x.(type) {
		case *expr.Cmp:
			if len(x.Data) == 16 {
				name, _, _ := bytes.Cut(x.Data, []byte{0})
				s.Interface = string(name)
			}
			for family, number := range protocols {
				if len(x.Data) == 1 && x.Data[0] == number {
					s.Family = family
				}
			}
		case *expr.Immediate:
			a, _ := netip.AddrFromSlice(x.Data)
			if s.Last = a; x.Register == register {
				s.First = a
			}
		}
	}
	if s.Interface == "" || s.Family == 0 || !same(exprs, encode(s)) {
		return plan.SNAT{}
	}
	return s
}

// same tells whether two lists of expressions say the same to the kernel.
func same(a, b []expr.Any) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		x, errX := expr.Marshal(unix.NFPROTO_INET, a[k])
		y, errY := expr.Marshal(unix.NFPROTO_INET, b[k])
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}
