// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"os"
	"path/filepath"

	"waymark/internal/importer"
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
	var missed []error
	if s.Iptables, s.Nft, missed = readFilters(); missed != nil {
		return importer.Imported{}, missed[0]
	}
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
