// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"waymark/internal/filters"
	"waymark/internal/plan"
)

// Add adds a text by its kind: a netplan file, one of systemd-networkd's, what
// iptables-save or `nft -j list ruleset` printed. An error says that it is none
// of them.
func (s *Setup) Add(name, text string) error {
	switch extension := filepath.Ext(name); {
	case extension == ".yaml", extension == ".yml", extension == ".network", extension == ".conf":
		s.Files = append(s.Files, File{name, text})
	case strings.HasPrefix(strings.TrimSpace(text), "{"):
		if s.Nft != nil {
			return fmt.Errorf("read %s: it is a second ruleset of nftables: import one at a time", name)
		}
		s.Nft = []byte(text)
	case strings.HasPrefix(text, "*") || strings.Contains(text, "\n*"):
		s.Iptables = append(s.Iptables, filters.Saved{Command: name, Text: text})
	default:
		return fmt.Errorf("read %s: it is nothing that can be imported: name *.yaml of netplan, *.network and *.conf of systemd-networkd, or what iptables-save or `nft -j list ruleset` printed", name)
	}
	return nil
}

// inOrder are files in the order in which netplan and systemd-networkd read theirs,
// by their names; those that give names to tables come first.
func inOrder(files []File) []File {
	isConf := func(f File) int {
		if filepath.Ext(f.Name) == ".conf" {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(files), func(a, b File) int {
		return cmp.Or(isConf(a)-isConf(b), strings.Compare(filepath.Base(a.Name), filepath.Base(b.Name)))
	})
}

// addFile takes a file by its kind.
func (c *carrier) addFile(f File) error {
	switch filepath.Ext(f.Name) {
	case ".conf":
		c.nameTables(f)
		return nil
	case ".network":
		return c.addNetwork(f)
	}
	return c.addNetplan(f)
}

// savedFamily is the family of a text of iptables-save, which says it in its
// first comment, if anywhere.
func savedFamily(s filters.Saved) plan.Family {
	first, _, _ := strings.Cut(s.Text, "\n")
	if strings.Contains(filepath.Base(s.Command), "6") || strings.Contains(first, "ip6tables") {
		return plan.IPv6
	}
	return plan.IPv4
}
