// SPDX-License-Identifier: Apache-2.0

// Command kernels runs the tests on other Linux kernels, each booted in QEMU.
//
//	go run ./test/kernels                # every kernel, all tests; KERNELS.md
//	go run ./test/kernels 6.1            # one kernel
//	go run ./test/kernels -rows REGEXP   # of the traffic table and the packets, those tests;
//	                                     # the page has the others from earlier runs of the same programs
//	go run ./test/kernels boot -kernel FOLDER BINARY [ARGUMENT...]
//
// The second form is what `go test -exec` is given by the first. The program
// is also its guest's first process, which is how it knows that it is inside.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	if os.Getpid() == 1 {
		beFirstProcess()
	}
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		status = max(1, status)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	if len(args) > 0 && args[0] == "boot" {
		return boot(args[1:])
	}
	flags := flag.NewFlagSet("kernels", flag.ContinueOnError)
	wanted := flags.String("rows", "", "only rows of tests that match this regular `expression`")
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	if err := choose(*wanted); err != nil {
		return 2, err
	}
	if args = flags.Args(); len(args) == 0 {
		args = everySeries
	}
	return 0, matrix(args)
}

// boot runs one binary on one kernel and returns its exit status.
func boot(args []string) (status int, err error) {
	flags := flag.NewFlagSet("kernels boot", flag.ContinueOnError)
	m := machine{files: map[string]string{}}
	flags.StringVar(&m.kernel, "kernel", "", "`folder` that a kernel package is unpacked in")
	flags.DurationVar(&m.limit, "limit", 5*time.Minute, "end the guest after this time")
	flags.Func("add", "`file`:path: give the guest one more file", func(s string) error {
		file, path, ok := strings.Cut(s, ":")
		m.files[path] = file
		if !ok {
			return errors.New("want file:path")
		}
		return nil
	})
	flags.Func("env", "`name=value` in the guest", func(s string) error {
		m.env = append(m.env, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	if m.kernel == "" || flags.NArg() == 0 {
		return 2, errors.New("boot: want -kernel FOLDER and a binary: fetch.sh gets kernels")
	}
	return m.run(flags.Args())
}
