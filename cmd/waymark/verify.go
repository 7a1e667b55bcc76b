// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"waymark/loader"
)

// errWrong is how `verify` says that a check failed.
var errWrong = errors.New("verify: not all is as the policy says")

func newVerify(e env) *cobra.Command {
	s := source{env: e}
	var o output
	c := &cobra.Command{
		Use:   "verify [-f FILE]",
		Short: "Check that the kernel does what the policy says, match by match",
		Long: `Holds the kernel against the policy that is applied, or that of -f: its rules,
routes, sysctls, programs and maps; and for every match, in both families, which
match wins a flow of its own and which route the kernel has for its class. Nothing
is changed and nothing is sent. Matches of forwarded packets and of a source are
held against the rules alone. "-o junit" is for a CI system. Exit code 1: something
is wrong.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.onHost(func(l *loader.Loader) error {
				policy, err := s.loadOrApplied(l)
				if err != nil {
					return err
				}
				checks, err := l.Verify(policy)
				if err != nil {
					return err
				}
				if o.format == "junit" {
					err = printJUnit(e.stdout, checks)
				} else {
					err = o.print(e.stdout, "Verification", checks, func(w io.Writer) error { return printChecks(w, checks) })
				}
				if err == nil && wrong(checks) > 0 {
					return errWrong
				}
				return err
			})
		},
	}
	s.fileFlag(c, "the policy that is applied")
	s.cgroupFlag(c)
	o.flag(c)
	c.Flags().Lookup("output").Usage = "`FORMAT` to print in: text, json or junit"
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if o.format == "junit" {
			return nil
		}
		return o.check(c)
	}
	return c
}

func wrong(checks []loader.Check) (n int) {
	for _, c := range checks {
		if len(c.Wrong) > 0 {
			n++
		}
	}
	return n
}

func printChecks(w io.Writer, checks []loader.Check) error {
	var b strings.Builder
	for _, c := range checks {
		verdict, answer := "ok   ", ""
		if len(c.Wrong) > 0 {
			verdict = "WRONG"
		}
		if c.Answer != "" {
			answer = ": " + c.Answer
		}
		fmt.Fprintf(&b, "%s  %s: %s%s\n", verdict, c.Group, c.Name, answer)
		for _, text := range c.Wrong {
			fmt.Fprintf(&b, "       %s\n", text)
		}
	}
	fmt.Fprintf(&b, "%s, %d wrong\n", count(len(checks), "check"), wrong(checks))
	_, err := io.WriteString(w, b.String())
	return err
}

// junit is a test suite as CI systems read it.
type junit struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func printJUnit(w io.Writer, checks []loader.Check) error {
	suite := junit{Name: "waymark verify", Tests: len(checks), Failures: wrong(checks)}
	for _, c := range checks {
		one := junitCase{Class: "waymark." + c.Group, Name: c.Name, Out: c.Answer}
		if len(c.Wrong) > 0 {
			one.Failure = &junitFailure{Message: c.Wrong[0], Text: strings.Join(c.Wrong, "\n")}
		}
		suite.Cases = append(suite.Cases, one)
	}
	text, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
