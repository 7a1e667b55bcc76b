// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	s := importer.Setup{Facts: facts}
	for k, name := range []string{"iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"} {
		family := plan.Families[k%2]
		text, err := host.Output(name + "-save")
		switch {
		case errors.Is(err, host.ErrNotInstalled):
		case err != nil:
			return importer.Imported{}, err
		default:
			s.Iptables = append(s.Iptables, importer.Saved{Family: family, Name: name, Text: text})
		}
	}
	nft, err := host.Output("nft", "-j", "list", "ruleset")
	if err != nil && !errors.Is(err, host.ErrNotInstalled) {
		return importer.Imported{}, err
	}
	s.Nft = []byte(nft)
	if err := addFiles(&s, routingFiles()); err != nil {
		return importer.Imported{}, err
	}
	return importer.Import(s)
}

// routingFiles are those of netplan and systemd-networkd on this host.
func routingFiles() (files []string) {
	for _, pattern := range []string{"/etc/netplan/*.yaml", "/run/netplan/*.yaml", "/etc/systemd/network/*.network", "/run/systemd/network/*.network"} {
		found, _ := filepath.Glob(pattern) // the patterns are right
		files = append(files, found...)
	}
	return files
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
		text, err := os.ReadFile(file)
		if err == nil {
			err = s.Add(file, string(text))
		}
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
	}
	return nil
}
