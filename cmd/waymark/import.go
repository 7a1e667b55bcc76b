// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"github.com/spf13/cobra"

	"waymark/internal/importer"
	"waymark/loader"
)

func newImport(e env) *cobra.Command {
	s := source{env: e}
	var o output
	var file string
	c := &cobra.Command{
		Use:   "import [-f FILE] [SAVED...]",
		Short: "Write the policy that does what the host's rules, filters and files do now",
		Long: `Reads the host's rules and routing tables, the mark rules of iptables and nftables,
and the routes and rules in files of netplan and systemd-networkd, and writes the
policy that does the same. What it could not carry over stands in it, with the
reason. With SAVED, only those files are read, and no root is needed: netplan's
*.yaml, systemd-networkd's *.network (and networkd.conf, which gives names to
tables), what iptables-save or "nft -j list ruleset" printed. The host is not
changed. "-f -" prints the policy; a file that is there already stays as it is.`,
		RunE: func(_ *cobra.Command, saved []string) error {
			if len(saved) > 0 {
				imported, err := loader.ImportFiles(saved)
				return writeImported(e, o, file, imported, err)
			}
			return s.onHost(func(l *loader.Loader) error {
				imported, err := l.Import()
				return writeImported(e, o, file, imported, err)
			})
		},
	}
	c.Flags().StringVarP(&file, "file", "f", policyFile, "`FILE` to write; - prints it")
	o.flag(c)
	return c
}

// writeImported writes a policy that was imported, and says what to do next.
func writeImported(e env, o output, file string, imported importer.Imported, err error) error {
	if err != nil {
		return err
	}
	if file != "-" {
		if err := e.writeStarter(file, imported.Policy); err != nil {
			return err
		}
	}
	return o.print(e.stdout, "Import", imported, func(w io.Writer) error {
		if file == "-" {
			_, err := io.WriteString(w, imported.Policy)
			return err
		}
		return saidWritten(w, file, imported.Summary()+"; read it")
	})
}
