// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Networkd is what systemd-networkd does with rules and routes that are not
// its own.
type Networkd struct {
	RemovesRules, RemovesRoutes bool
}

// ReadNetworkd reads systemd-networkd's settings below a root directory, ""
// for the host's own.
func ReadNetworkd(root string) Networkd {
	n := Networkd{RemovesRules: true, RemovesRoutes: true}
	for _, file := range networkdFiles(root) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has gone since it was listed
		}
		n.read(string(text))
	}
	return n
}

// networkdFiles are the files of its configuration in the order in which they
// count: networkd.conf of the first directory that has one, then the drop-ins
// of all by name, of those with the same name the first directory's.
func networkdFiles(root string) (files []string) {
	dirs := []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"}
	byName := map[string]string{}
	for _, dir := range slices.Backward(dirs) {
		dropIns, _ := filepath.Glob(filepath.Join(root, dir, "networkd.conf.d", "*.conf"))
		for _, file := range dropIns {
			byName[filepath.Base(file)] = file
		}
		if file := filepath.Join(root, dir, "networkd.conf"); fileExists(file) {
			files = []string{file}
		}
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		files = append(files, byName[name])
	}
	return files
}

func fileExists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func (n *Networkd) read(text string) {
	section := ""
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "[Network]" {
			continue
		}
		no := slices.Contains([]string{"no", "false", "off", "0", "n", "f"}, strings.ToLower(strings.TrimSpace(value)))
		switch strings.TrimSpace(key) {
		case "ManageForeignRoutingPolicyRules":
			n.RemovesRules = !no
		case "ManageForeignRoutes":
			n.RemovesRoutes = !no
		}
	}
}

// Runs tells whether a process of a name, of which the kernel keeps 15 bytes,
// runs in the calling thread's network namespace.
func Runs(name string) bool {
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return false
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, comm := range processes {
		text, err := os.ReadFile(comm)
		if err != nil || strings.TrimSuffix(string(text), "\n") != name[:min(15, len(name))] {
			continue
		}
		if netns, err := os.Readlink(filepath.Join(filepath.Dir(comm), "ns/net")); err == nil && netns == own {
			return true
		}
	}
	return false
}
