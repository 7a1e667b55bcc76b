// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/loader"
)

// source is where a verb takes its policy from, and what host it means.
type source struct {
	env
	files      []string
	cgroupRoot string
	alive      func() // gives a sign of life while a lock is waited for; nil: nobody wants one
}

func (s *source) flags(c *cobra.Command) {
	s.fileFlag(c, policyFile+" and "+policyDir)
	s.cgroupFlag(c)
}

// orStdin is said of -f, but by who could not read it again.
const orStdin = ", or - for standard input"

func (s *source) fileFlag(c *cobra.Command, standard string) {
	c.Flags().StringArrayVarP(&s.files, "file", "f", nil, "policy `FILE`, or directory of *.yaml"+orStdin+"; may be repeated (default "+standard+")")
}

func (s *source) cgroupFlag(c *cobra.Command) {
	c.Flags().StringVar(&s.cgroupRoot, "cgroup-root", "", "`DIRECTORY` that cgroup paths start from and the programs attach to (default the top of the cgroup2 tree)")
}

// paths are where the policy may be, whether or not it is there.
func (s *source) paths() []string {
	if s.files != nil {
		return s.files
	}
	return []string{policyFile, policyDir}
}

// readable refuses files that cannot be read as often as they would be.
func (s *source) readable() error {
	if stdin := slices.Index(s.files, classes.Stdin); stdin >= 0 && slices.Contains(s.files[stdin+1:], classes.Stdin) {
		return errors.New("-f - is there twice: standard input can be read only once")
	}
	return nil
}

// readableAgain refuses what can be read only once.
func (s *source) readableAgain() error {
	for _, path := range s.paths() {
		info, err := os.Stat(path)
		if path == classes.Stdin || err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("read policy %s: what comes by a pipe can be read only once, and an agent reads its policy again when it changes: write it to a file", path)
		}
	}
	return nil
}

// loadAgain is load of who is not to hang should a file have become a pipe.
func (s *source) loadAgain() (*classes.Policy, error) {
	if err := s.readableAgain(); err != nil {
		return nil, err
	}
	return s.load()
}

// load reads the policy.
func (s *source) load() (*classes.Policy, error) {
	if err := s.readable(); err != nil {
		return nil, err
	}
	paths := s.files
	if paths == nil {
		paths = []string{policyFile}
		if _, err := os.Stat(policyDir); err == nil {
			paths = append(paths, policyDir)
		}
	}
	p, err := classes.Load(paths...)
	var file *fs.PathError
	switch {
	case !errors.As(err, &file):
		return p, err
	case errors.Is(err, fs.ErrNotExist) && s.files == nil:
		return nil, fmt.Errorf("read policy %s: there is no such file: write a policy there, or name one with -f", file.Path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read policy %s: there is no such file: name the policy with -f", file.Path)
	}
	return nil, fmt.Errorf("read policy %s: %w", file.Path, file.Err)
}

// loadAtOnce is load of a process that may end at any moment of it: a pipe, or a
// terminal, may never say its last word.
func (s *source) loadAtOnce() (*classes.Policy, error) {
	defer s.signals.endAtOnce(s.signals.endAtOnce(true))
	return s.load()
}

// onHost calls do with the host taken up.
func (s *source) onHost(do func(*loader.Loader) error) error {
	l, err := loader.Open(loader.Options{CgroupRoot: s.cgroupRoot, Author: s.author, StateDir: s.stateDir, Done: s.done,
		Waiting: s.waiting})
	if err != nil {
		return err
	}
	defer l.Close()
	return do(l)
}

// waiting says who is waited for, and, to a service manager, that it is no hanging.
func (s *source) waiting(holder string) {
	if holder != "" {
		fmt.Fprintf(s.stderr, "waymark: waiting for %s to finish\n", holder)
	}
	if s.alive != nil {
		s.alive()
	}
}

// memoryEnough is for commands that end soon: of a policy with many matches nearly
// all that is made is needed to the end, and to look for the rest takes a tenth
// of the time. A hundred thousand are 150 MiB.
const memoryEnough = 1 << 30

// withPolicy calls do with the policy and the host.
func (s *source) withPolicy(do func(*classes.Policy, *loader.Loader) error) error {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryEnough)
	datapath.Preload()
	policy, err := s.loadAtOnce()
	if err != nil {
		return err
	}
	return s.onHost(func(l *loader.Loader) error { return do(policy, l) })
}
