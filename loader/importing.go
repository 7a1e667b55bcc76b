// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waymark/internal/host"
	"waymark/internal/importer"
	"waymark/internal/plan"
)

// Import is the policy that does what this host's rules, routes, filters and
// files do now; it changes nothing. Errors are those of importer.Import, or of
// reading the host.
func (l *Loader) Import() (importer.Imported, error) {
	facts, err := l.waysOut()
	if err != nil {
		return importer.Imported{}, err
	}
	if facts.Sysctls, err = host.Sysctls([]string{plan.HashPolicy}); err != nil {
		return importer.Imported{}, err
	}
	s := importer.Setup{Facts: facts}
	var missed []error
	if s.Iptables, s.Nft, missed = readFilters(); missed != nil {
		return importer.Imported{}, missed[0]
	}
	if err := addFiles(&s, routingFiles()); err != nil {
		return importer.Imported{}, err
	}
	return importer.Import(s)
}

// routingFiles are those of netplan and systemd-networkd on this host. Of the
// files of one name the first place's counts.
func routingFiles() (files []string) {
	seen := map[string]bool{}
	for _, pattern := range []string{
		"/run/netplan/*.yaml", "/etc/netplan/*.yaml", "/lib/netplan/*.yaml",
		"/etc/systemd/network/*.network", "/run/systemd/network/*.network",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are right
		for _, file := range found {
			if name := filepath.Base(file); !seen[name] {
				seen[name], files = true, append(files, file)
			}
		}
	}
	return files
}

// dropIns are the files that add to one of systemd-networkd's.
func dropIns(file string) (files []string) {
	if filepath.Ext(file) != ".network" {
		return nil
	}
	for _, place := range slices.Compact([]string{filepath.Dir(file), "/etc/systemd/network", "/run/systemd/network"}) {
		if place == filepath.Dir(file) || strings.HasPrefix(file, "/etc/systemd/") || strings.HasPrefix(file, "/run/systemd/") {
			found, _ := filepath.Glob(filepath.Join(place, filepath.Base(file)+".d", "*.conf"))
			files = append(files, found...)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// ImportFiles is the policy that does what files say, and nothing else that
// this host may have.
func ImportFiles(files []string) (importer.Imported, error) {
	var s importer.Setup
	if err := addFiles(&s, files); err != nil {
		return importer.Imported{}, err
	}
	return importer.Import(s)
}

func addFiles(s *importer.Setup, files []string) error {
	for _, file := range files {
		text, err := readWithDropIns(file)
		if err == nil {
			err = s.Add(file, text)
		}
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
	}
	return nil
}

// readWithDropIns is a file's text, with what adds to it behind.
func readWithDropIns(file string) (string, error) {
	var all []byte
	for _, one := range append([]string{file}, dropIns(file)...) {
		text, err := os.ReadFile(one)
		if err != nil {
			return "", err
		}
		all = append(append(all, text...), '\n')
	}
	return string(all), nil
}
