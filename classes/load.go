// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Load reads and merges the policy files at paths, in that order. Of a
// directory it reads every *.yaml in lexical order, and at Stdin what is on
// standard input. Uplinks and classes of later files come after those of earlier
// ones; mark, rules and tables may be given once. The error is Problems where the
// policy is wrong, else an *fs.PathError.
func Load(paths ...string) (*Policy, error) {
	var sources []*source
	var problems Problems
	length := 0
	for _, path := range paths {
		files, bad, err := policyFiles(path)
		if err != nil {
			return nil, err
		}
		problems = append(problems, bad...)
		for _, file := range files {
			text, err := readWhole(file)
			if err != nil {
				return nil, err
			}
			if file == Stdin {
				file = stdinName
			}
			if len(text) == 0 { // as `print-classes > file` has it until it prints
				problems = append(problems, Problem{Pos: Position{File: file}, Text: "the file is empty", Hint: "wait until it is written, or remove it; one that is to say nothing holds a comment"})
				continue
			}
			if length += len(text); length > mostText {
				return nil, tooLong(file)
			}
			sources = append(sources, newSource(file, text))
		}
	}
	if len(sources)+len(problems) == 0 {
		return nil, Problems{{Pos: Position{File: strings.Join(paths, " ")}, Text: "there is no policy file", Hint: "write a policy to a file that ends in .yaml"}}
	}
	return compile(sources, problems)
}

// Parse parses a policy that is one text; name stands for its file in
// positions. The error is Problems.
func Parse(name string, text []byte) (*Policy, error) {
	return compile([]*source{newSource(name, text)}, nil)
}

// policyFiles returns path itself, or the policy files in it.
func policyFiles(path string) (files []string, problems Problems, err error) {
	if path == Stdin {
		return []string{path}, nil, nil
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case strings.HasSuffix(e.Name(), ".yaml") && isEndless(name):
			problems = append(problems, Problem{Pos: Position{File: name}, Text: "this is no file: to read it may never end", Hint: "remove it"})
		case strings.HasSuffix(e.Name(), ".yaml"):
			files = append(files, name)
		case strings.HasSuffix(e.Name(), ".yml"):
			// Leaving it out in silence would drop classes without a word.
			problems = append(problems, Problem{
				Pos:  Position{File: name},
				Text: "a policy file must end in .yaml",
				Hint: fmt.Sprintf("rename it to %s.yaml", strings.TrimSuffix(e.Name(), ".yml")),
			})
		}
	}
	return files, problems, nil
}

// isEndless tells whether what is there is a pipe, a socket or a device.
func isEndless(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && !info.Mode().IsRegular()
}

// compile turns sources into one valid policy.
func compile(sources []*source, problems Problems) (*Policy, error) {
	d, readable := decode(sources, problems)
	for d.unplain {
		d.source.long = true
		d, readable = decode(sources, problems)
	}
	if readable {
		d.validate() // half a policy would only bring errors that are not there
	}
	if len(d.problems) == 0 {
		return d.policy, nil
	}
	all := d.policy.sorted(d.problems)
	if d.dropped > 0 {
		all = append(all, Problem{Text: fmt.Sprintf("and %d problems more", d.dropped), Hint: "repair these first"})
	}
	return nil, all
}

// decode reads all sources, and tells whether each was YAML, and none left out. It ends early at
// one that has to be read again.
func decode(sources []*source, problems Problems) (d *decoder, readable bool) {
	p := &Policy{
		Mark:    Mark{Mask: DefaultMask},
		Rules:   Rules{Base: DefaultRulesBase},
		Tables:  Tables{Base: DefaultTablesBase},
		Balance: Balance{By: SpreadFlow},
		sources: sources,
	}
	d, readable = &decoder{policy: p, problems: slices.Clip(problems)}, len(problems) == 0
	for _, s := range sources {
		root, bad := s.read()
		d.problems = append(d.problems, bad...)
		readable = readable && len(bad) == 0
		d.source = s
		if len(bad) == 0 && root.kind != null {
			fields(d, &root, "a policy", policyFields, p)
		}
		if d.unplain {
			break
		}
	}
	return d, readable
}
