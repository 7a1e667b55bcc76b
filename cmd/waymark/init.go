// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"waymark/loader"
)

func newInit(e env) *cobra.Command {
	s := source{env: e}
	var file string
	c := &cobra.Command{
		Use:   "init [-f FILE]",
		Short: "Write a policy to begin with, from what this host has",
		Long: `Looks at the host's default routes, addresses and rules, and writes a policy that
names its uplinks, with numbers that nobody there uses and with classes as
comments: applied as it is, it marks nothing. The host is not changed. "-f -"
prints it; a file that is there already stays as it is.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.onHost(func(l *loader.Loader) error {
				text, err := l.Starter()
				if err != nil {
					return err
				}
				if file == "-" {
					_, err := io.WriteString(e.stdout, text)
					return err
				}
				if err := e.writeStarter(file, text); err != nil {
					return err
				}
				return saidWritten(e.stdout, file, "give it classes")
			})
		},
	}
	c.Flags().StringVarP(&file, "file", "f", policyFile, "`FILE` to write; - prints it")
	return c
}

// saidWritten says what was written, and what comes next: do, and two verbs.
func saidWritten(w io.Writer, file, do string) error {
	again := ""
	if file != policyFile {
		again = " -f " + file
	}
	_, err := fmt.Fprintf(w, "wrote %s: %s, then `waymark check%s` and `waymark plan%s`\n", file, do, again, again)
	return err
}

func (e env) writeStarter(file, text string) error {
	e.signals.endAtOnce(false)
	if file == policyFile {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("write policy: %w", err)
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write policy %s: it is there already: name another file with -f, or print one with `-f -`", file)
	}
	if err != nil {
		return fmt.Errorf("write policy: %w", err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write policy: %w", errors.Join(err, os.Remove(file)))
	}
	return nil
}
