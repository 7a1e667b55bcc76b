// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modules are those of one kernel's package.
type modules struct {
	files   map[string]string // by name
	archive *archive
	added   map[string]bool
	order   []string // paths in the guest, dependencies first
}

// addModules adds guestModules and all that they need, and returns their
// paths in the order to load them. One without a file is built in, or the
// kernel does not have it, which the tests find out.
func (m *machine) addModules(a *archive) (order []string, err error) {
	root, err := m.find("lib/modules/*/kernel", "usr/lib/modules/*/kernel")
	if err != nil {
		return nil, err
	}
	all := &modules{files: map[string]string{}, archive: a, added: map[string]bool{}}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.Contains(entry.Name(), ".ko") {
			all.files[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range guestModules {
		if err := all.add(name); err != nil {
			return nil, fmt.Errorf("add module %s: %w", name, err)
		}
	}
	return all.order, nil
}

// moduleName is the name of the module in a file: the kernel writes it with
// underscores, packages often with hyphens.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// add adds a module behind those it needs, uncompressed.
func (m *modules) add(name string) error {
	name = moduleName(name)
	file, here := m.files[name]
	if m.added[name] || !here {
		return nil
	}
	m.added[name] = true
	object, err := readModule(file)
	if err != nil {
		return err
	}
	needed, err := dependencies(object)
	if err != nil {
		return err
	}
	for _, n := range needed {
		if err := m.add(n); err != nil {
			return err
		}
	}
	path := "/modules/" + name + ".ko"
	m.archive.file(path, 0o644, object)
	m.order = append(m.order, path)
	return nil
}

func readModule(file string) ([]byte, error) {
	switch filepath.Ext(file) {
	case ".xz":
		return exec.Command("xz", "-dc", file).Output()
	case ".zst":
		return exec.Command("zstd", "-dcq", file).Output()
	}
	return os.ReadFile(file)
}

// dependencies reads what a module needs from the module itself. A package
// has no modules.dep: that is made when it is installed.
func dependencies(object []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, nil
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
