// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"waymark/internal/web"
	"waymark/loader"
)

func newMetrics(e env) *cobra.Command {
	s := source{env: e}
	var o listening
	var once bool
	var file string
	var labels []string
	c := &cobra.Command{
		Use:   "metrics",
		Short: "Serve what is counted to Prometheus, or print it once",
		Long: `Serves on /metrics what is counted, in every format that Prometheus asks for,
without the agent; ` + "`waymark run --listen`" + ` serves the same. /-/healthy and /-/ready
say whether it works and whether a policy is applied. With --once it prints the
metrics instead, and with -o it writes them into a file, by one rename, for
node_exporter's textfile collector, which refuses the same series of two files:
--label netns=lan keeps those of two network namespaces apart.`,
		Args: noArgs,
		PreRunE: func(c *cobra.Command, _ []string) error {
			if (once || file != "") && (c.Flags().Changed("listen") || o.config != "") {
				return usage(c, errors.New("--once and -o print, and do not listen"))
			}
			if !once && file == "" && len(labels) > 0 {
				return usage(c, errors.New("--label is for --once and -o; those who scrape have labels of their own for each target"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			return s.onHost(func(l *loader.Loader) error {
				if once || file != "" {
					return printMetrics(e, l, file, labels)
				}
				on, err := o.open()
				if err != nil {
					return err
				}
				return o.serve(c.Context(), on, l, nil, newLog(os.Stderr, os.Getenv("JOURNAL_STREAM")))
			})
		},
	}
	o.flags(c, web.DefaultAddress)
	c.Flags().BoolVar(&once, "once", false, "print the metrics, and end")
	c.Flags().StringVarP(&file, "output", "o", "", "`FILE` to write the metrics into, once, whole or not at all")
	c.Flags().StringArrayVar(&labels, "label", nil, "`NAME=VALUE` to put on everything that is printed or written; may be repeated")
	return c
}

func printMetrics(e env, l *loader.Loader, file string, labels []string) error {
	exporter, closeMeter := newExporter(l)
	defer closeMeter()
	for _, label := range labels {
		if err := exporter.Label(label); err != nil {
			return err
		}
	}
	if file != "" {
		return exporter.WriteFile(file)
	}
	return exporter.Write(e.stdout)
}
