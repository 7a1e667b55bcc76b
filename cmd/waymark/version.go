// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"waymark/bpf"
	"waymark/loader"
)

// build is what a binary is, and what an upgrade to it, or back, turns on.
type build struct {
	Version  string            `json:"version"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Programs string            `json:"programs"` // equal ids: no program is replaced
	State    loader.StateForms `json:"state"`
}

func thisBuild() build {
	return build{Version: version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Programs: bpf.ObjectID(), State: loader.Forms()}
}

func (b build) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "waymark %s (%s, %s)\nprograms %s, state of format %d (reads %d to %d)\n",
		b.Version, b.Go, b.Platform, b.Programs, b.State.Writes, b.State.Oldest, b.State.Writes)
	return err
}

func newVersion(e env) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which build this is, and which state it reads",
		Long: `Prints the version or the revision that this binary was built from, and what an
upgrade turns on: the BPF programs that it carries, and the format of the state
that an apply leaves in the kernel. A binary that does not know the format
refuses it, and traffic goes on as it is.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return o.print(e.stdout, "Version", b, b.print)
		},
	}
	o.flag(c)
	return c
}

// version is this binary's: of the module, or the revision it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (info.Main.Version == "" || info.Main.Version == "(devel)") {
			return s.Value
		}
	}
	return info.Main.Version
}
