// SPDX-License-Identifier: Apache-2.0

// Package importer turns what other tools were told about routing - the rules
// and routes of a host, the mark rules of iptables and nftables, the files of
// netplan and systemd-networkd - into the policy that does the same. Pure.
package importer

import (
	"fmt"
	"maps"

	"waymark/classes"
	"waymark/internal/filters"
	"waymark/internal/plan"
)

// Setup is what there is to import. A zero field was not looked at, or is not
// there.
type Setup struct {
	Facts    plan.Facts      // rules, routes and links, of the kernel
	Iptables []filters.Saved // what iptables-save and the like printed
	Nft      []byte          // what `nft -j list ruleset` printed
	Files    []File          // of netplan and systemd-networkd
}

// File is a netplan file, *.yaml, or one of systemd-networkd's: *.network, or
// networkd.conf or what adds to it, *.conf.
type File struct{ Name, Text string }

// Imported is a policy, and what it leaves out.
type Imported struct {
	Policy  string `json:"policy"`  // valid as it is
	Uplinks int    `json:"uplinks"` //
	Classes int    `json:"classes"` //
	Left    []Left `json:"left"`    // what it does not do; never null
}

// Import makes the policy. An error says that the setup has no way out, or
// that a file cannot be read.
func Import(s Setup) (Imported, error) {
	c := carrier{facts: s.Facts, twice: map[string]bool{}, used: map[string]bool{}, said: map[Left]bool{}, stands: map[place]bool{}, mainAt: map[plan.Family]uint32{}, tables: maps.Clone(kernelTables)}
	for _, r := range s.Facts.Rules {
		c.addRule(r, "ip "+r.Family.Option()+" rule: "+r.Args())
	}
	for _, f := range inOrder(s.Files) {
		if err := c.addFile(f); err != nil {
			return Imported{}, err
		}
	}
	ways := plan.WaysOut(c.facts)
	for _, u := range plan.Unnameable(c.facts) {
		c.leave("an interface with a default route", u)
	}
	if len(ways) == 0 {
		return Imported{}, c.noWay()
	}
	c.uplinks(ways)
	c.shown = filters.ShownBy(s.Iptables)
	c.addIptables(s.Iptables)
	if err := c.addNft(s.Nft); err != nil {
		return Imported{}, err
	}
	c.leaveSpecific()
	return c.write(), nil
}

// carrier carries a setup over.
type carrier struct {
	facts   plan.Facts        // with what the files say
	tables  map[string]uint32 // by the names that files call them
	matched []matched         // the files that were read
	rules   []rule            // that are to be carried over
	twice   map[string]bool
	marks   []*told
	used    map[string]bool // origins that a match was made of
	ways    []uplink
	left    []Left
	said    map[Left]bool // those in left

	stands map[place]bool         // where rules are, those among them that are not carried over
	mainAt map[plan.Family]uint32 // the priority of the rule that asks main for everything

	shown filters.Shown // what iptables-save printed of nftables
}

// rule is one of the RPDB, and where it stands.
type rule struct {
	plan.Rule
	origin string
}

// entry is traffic, and where it goes.
type entry struct {
	match  classes.Match
	way    way
	origin string
	part   bool // what two rules take in common: it may be that nothing is left of it
}

// addRule adds a rule unless it is the kernel's own, Waymark's, or there
// already, as a file's is that the kernel has.
func (c *carrier) addRule(r plan.Rule, origin string) {
	key := r
	key.Priority, key.Protocol = 0, 0
	words := key.String()
	c.stands[place{r.Family, r.Priority}] = true
	switch {
	case selectsAll(r) && r.Table == plan.TableMain && !r.Suppress && c.mainAt[r.Family] == 0:
		c.mainAt[r.Family] = r.Priority
	case r.Protocol == plan.Protocol, c.twice[words], selectsAll(r):
	default:
		c.rules = append(c.rules, rule{r, origin})
	}
	c.twice[words] = true
}

// selectsAll tells whether a rule is one of those that every host has, or does
// what Waymark does by itself.
func selectsAll(r plan.Rule) bool {
	return !r.From.IsValid() && r.Mask == 0 && r.Other == "" && r.OIF == "" && r.Action == plan.Lookup &&
		(r.Table == plan.TableLocal || r.Table == plan.TableMain || r.Table == plan.TableDefault)
}

// Summary says in a few words what was carried over.
func (i Imported) Summary() string {
	text := count(i.Uplinks, "uplink", "uplinks") + ", " + count(i.Classes, "class", "classes")
	if n := len(i.Left); n > 0 {
		text += fmt.Sprintf("; not carried over: %d, each with its reason at the end", n)
	}
	return text
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
