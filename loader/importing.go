// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
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

// systemdPlaces are where systemd's files are. Of the files of one name the first
// place's counts.
var systemdPlaces = []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"}

// routingFiles are those of netplan and systemd-networkd on this host. The networks
// that networkd brings along itself, in /usr/lib, are for containers.
func routingFiles() []string {
	files := firstOfName("/run/netplan/*.yaml", "/etc/netplan/*.yaml", "/lib/netplan/*.yaml")
	files = append(files, firstOfName(inPlaces("network/*.network")[:2]...)...)
	mains := inPlaces("networkd.conf")
	if names := firstOfName(mains...); names != nil || dropIns(mains[0]) == nil {
		return append(files, names...)
	}
	return append(files, mains[0])
}

func inPlaces(name string) (all []string) {
	for _, place := range systemdPlaces {
		all = append(all, filepath.Join(place, name))
	}
	return all
}

// firstOfName are the files of some patterns in the order of their names, of each
// name the first.
func firstOfName(patterns ...string) (files []string) {
	seen := map[string]bool{}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // the patterns are right, or a file's name has brackets
		for _, file := range found {
			if name := filepath.Base(file); !seen[name] {
				seen[name], files = true, append(files, file)
			}
		}
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	return files
}

// dropIns are the files that add to one of systemd-networkd's: those beside it, and
// of one in systemd's places those in all of them.
func dropIns(file string) []string {
	if filepath.Ext(file) != ".network" && filepath.Base(file) != "networkd.conf" {
		return nil
	}
	more := filepath.Join(file+".d", "*.conf")
	for _, place := range systemdPlaces {
		if name, in := strings.CutPrefix(more, place+"/"); in {
			return firstOfName(inPlaces(name)...)
		}
	}
	return firstOfName(more)
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

// readWithDropIns is a file's text, with what adds to it behind; that may be all
// that there is.
func readWithDropIns(file string) (string, error) {
	var all []byte
	more := dropIns(file)
	for _, one := range append([]string{file}, more...) {
		text, err := os.ReadFile(one)
		if errors.Is(err, fs.ErrNotExist) && one == file && more != nil {
			continue
		}
		if err != nil {
			return "", err
		}
		all = append(append(all, text...), '\n')
	}
	return string(all), nil
}
