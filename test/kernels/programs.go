// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// addPrograms adds programs of the host that the guest is to find in its
// PATH, with the libraries they are linked to. Those that the host does not
// have are left out.
func addPrograms(a *archive, names []string) error {
	libraries := map[string]bool{}
	for _, name := range names {
		file := program(name)
		if file == "" {
			continue
		}
		a.copyFile(filepath.Join("/bin", name), file)
		needed, err := linked(file)
		if err != nil {
			return err
		}
		for _, library := range needed {
			if !libraries[library] {
				a.copyFile(library, library)
			}
			libraries[library] = true
		}
	}
	return nil
}

// program is the path of a program, also of one that only root's PATH has.
func program(name string) string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

// linked lists the libraries that a program is linked to, and its loader.
func linked(file string) (paths []string, err error) {
	out, err := exec.Command("ldd", file).Output()
	if err != nil {
		return nil, fmt.Errorf("list the libraries of %s: %w", file, err)
	}
	for line := range strings.Lines(string(out)) {
		for word := range strings.FieldsSeq(line) {
			if filepath.IsAbs(word) {
				paths = append(paths, word)
			}
		}
	}
	return paths, nil
}
