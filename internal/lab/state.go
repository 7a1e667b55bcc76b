// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// stateCommands print what a node holds. Sorted are those whose order is the
// kernel's whim: it changes when a routing table comes and goes.
var stateCommands = []struct {
	line   string
	sorted bool
}{
	{"ip address", false},
	{"ip -d -4 rule", false},
	{"ip -d -6 rule", false},
	{"ip -d -o -4 route show table all", true},
	{"ip -d -o -6 route show table all", true},
	{"ip nexthop", true},
	{"nft -s list ruleset", false},
	{qdiscs, true},
}

const qdiscs = "tc qdisc show"

// State is the node's configuration as one text, the same byte for byte when
// nothing has changed: addresses, rules, routes of all tables, next hops, nft
// rules without counters, qdiscs, tc filters, tcx programs, and the sysctls
// below net.ipv4 and net.ipv6. A tool that is not installed has an empty section.
func (n *Node) State() (string, error) {
	var text strings.Builder
	withFilters := map[string]bool{}
	for _, c := range stateCommands {
		section, err := n.stateOf(c.line, c.sorted)
		if err != nil {
			return "", err
		}
		text.WriteString(section)
		if c.line == qdiscs {
			withFilters = qdiscDevices(section)
		}
	}
	links, err := n.nl.LinkList()
	if err != nil {
		return "", fmt.Errorf("read state of %s: list links: %w", n.Name, err)
	}
	for _, link := range links {
		if !withFilters[link.Attrs().Name] {
			continue
		}
		for _, hook := range []string{"ingress", "egress", "root"} {
			section, err := n.stateOf("tc filter show dev "+link.Attrs().Name+" "+hook, false)
			if err != nil {
				return "", err
			}
			text.WriteString(section)
		}
	}
	err = n.Do(func() error {
		for _, link := range links {
			text.WriteString(tcxPrograms(link.Attrs().Name, link.Attrs().Index))
		}
		return writeSysctlTree(&text)
	})
	return text.String(), err
}

// qdiscDevices are the interfaces that have a queueing discipline, by what tc
// prints of them: without one there is nothing to hang a filter on.
func qdiscDevices(section string) map[string]bool {
	devices := map[string]bool{}
	for line := range strings.Lines(section) {
		words := strings.Fields(line)
		if i := slices.Index(words, "dev"); i >= 0 && i+1 < len(words) && words[1] != "noqueue" {
			devices[words[i+1]] = true
		}
	}
	return devices
}

// beingMade is what ip says of a file in /run/netns that somebody else has just
// made, and not yet mounted a namespace on: that is no state of a node.
const beingMade = "Error: Peer netns reference is invalid.\n"

// stateOf is the section of one command: its line, then what it prints, errors
// included, for they too should be the same afterwards.
func (n *Node) stateOf(line string, sorted bool) (string, error) {
	words := strings.Fields(line)
	output, err := n.Command(words[0], words[1:]...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("read state of %s: %w", n.Name, err)
	}
	output = strings.ReplaceAll(output, beingMade, "")
	if sorted {
		lines := strings.SplitAfter(output, "\n")
		slices.Sort(lines)
		output = strings.Join(lines, "")
	}
	return "# " + line + "\n" + output, nil
}

// State is the State of all nodes, and the BPF programs attached to the lab's
// cgroups.
func (l *Lab) State() (string, error) {
	var text strings.Builder
	for _, n := range l.nodes {
		state, err := n.State()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "## %s\n%s", n.Name, state)
	}
	err := filepath.WalkDir(l.cgroups.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			text.WriteString(cgroupPrograms(l.cgroups.mount, path))
		}
		return err
	})
	return text.String(), err
}

// volatile are sysctls that show the machine's state, not the namespace's.
var volatile = []string{"tcp_available_congestion_control", "tcp_allowed_congestion_control"}

// writeSysctlTree writes the sysctls of the calling thread's namespace. Some are
// write-only or refuse while unset; they have no value to compare.
func writeSysctlTree(text *strings.Builder) error {
	for _, root := range []string{"/proc/sys/net/ipv4", "/proc/sys/net/ipv6"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || slices.Contains(volatile, entry.Name()) {
				return err
			}
			if value, err := os.ReadFile(path); err == nil {
				name := strings.ReplaceAll(strings.TrimPrefix(path, "/proc/sys/"), "/", ".")
				fmt.Fprintf(text, "%s = %s\n", name, strings.TrimSpace(string(value)))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read sysctls: %w", err)
		}
	}
	return nil
}
