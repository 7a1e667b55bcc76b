// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// copyFilters copies the rules of nft and iptables, which may give packets marks
// and have the kernel route them anew. All that would be dropped is accepted:
// where a packet goes is to be seen. One table of nft's family inet is left out.
func (c *Copy) copyFilters(without string) error {
	held, err := c.copyIptables()
	if err != nil {
		return err
	}
	return c.copyNft(without, held)
}

// printed is what a program that changes nothing says of the calling thread's
// namespace; "" if it is not installed.
func printed(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("run %s: %w", name, err)
	}
	return string(out), nil
}

var (
	dropPolicy = regexp.MustCompile(`(?m)^(:\S+) DROP`)
	dropTarget = regexp.MustCompile(`(?m)-j (DROP|REJECT\b.*)$`)
)

// copyIptables returns the families of nft in which iptables has its tables.
func (c *Copy) copyIptables() (held []string, err error) {
	for _, name := range []string{"iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"} {
		text, err := printed(name + "-save")
		if err != nil {
			return nil, err
		}
		family := map[bool]string{true: "ip6", false: "ip"}[strings.HasPrefix(name, "ip6")]
		if text != "" {
			held = append(held, family)
		}
		if !strings.Contains(text, "\n*") && !strings.HasPrefix(text, "*") {
			continue
		}
		text = dropTarget.ReplaceAllString(dropPolicy.ReplaceAllString(text, "$1 ACCEPT"), "-j ACCEPT")
		c.restore(name+"'s rules", text, name+"-restore")
	}
	return held, nil
}

// restore has a program in the copy read what it would have printed there.
func (c *Copy) restore(what, text, name string, args ...string) {
	program := exec.Command(name, args...)
	program.Stdin = strings.NewReader(text)
	var out []byte
	if err := c.Host.Do(func() (err error) {
		out, err = program.CombinedOutput()
		return err
	}); err != nil {
		c.Left = append(c.Left, fmt.Sprintf("%s: %v: %s", what, err, strings.Join(strings.Fields(string(out)), " ")))
	}
}

// nftOrder is the order in which the objects of a table can be made.
var nftOrder = []string{"table", "chain", "counter", "quota", "limit", "ct helper", "ct timeout", "ct expectation", "secmark", "synproxy", "flowtable", "set", "map", "rule"}

// iptablesTables are those that iptables makes in nftables.
var iptablesTables = []string{"raw", "mangle", "nat", "filter", "security"}

// copyNft copies nft's tables, each at once; those of iptables in the families
// where that was asked are copied already.
func (c *Copy) copyNft(without string, iptables []string) error {
	text, err := printed("nft", "-j", "list", "ruleset")
	if err != nil || text == "" {
		return err
	}
	var ruleset struct{ Nftables []map[string]map[string]any }
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&ruleset); err != nil {
		return fmt.Errorf("read what `nft -j list ruleset` printed: %w", err)
	}
	tables := map[string][]map[string]map[string]any{}
	var order []string
	for _, kind := range nftOrder {
		for _, o := range ruleset.Nftables {
			object, ok := o[kind]
			if !ok {
				continue
			}
			family, table := fmt.Sprint(object["family"]), fmt.Sprint(object["table"])
			if kind == "table" {
				table = fmt.Sprint(object["name"])
			}
			if family == "inet" && table == without || slices.Contains(iptables, family) && slices.Contains(iptablesTables, table) {
				continue
			}
			name := family + " " + table
			if tables[name] == nil {
				order = append(order, name)
			}
			delete(object, "handle")
			acceptAll(object)
			tables[name] = append(tables[name], map[string]map[string]any{"add": {kind: object}})
		}
	}
	for _, name := range order {
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(map[string]any{"nftables": tables[name]}); err != nil {
			return err
		}
		c.restore("nft table "+name, b.String(), "nft", "-j", "-f", "-")
	}
	return nil
}

// acceptAll puts `accept` in place of what drops or refuses.
func acceptAll(x any) {
	switch x := x.(type) {
	case []any:
		for _, element := range x {
			acceptAll(element)
		}
	case map[string]any:
		for _, stop := range []string{"drop", "reject"} {
			if _, ok := x[stop]; ok {
				delete(x, stop)
				x["accept"] = nil
			}
		}
		if x["policy"] == "drop" {
			x["policy"] = "accept"
		}
		for _, value := range x {
			acceptAll(value)
		}
	}
}
