// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Print writes a line for each check, with what is wrong below it, and a sum.
func Print(w io.Writer, checks []Check) error {
	var b strings.Builder
	for _, c := range checks {
		verdict, answer := "ok   ", c.Answer
		switch {
		case len(c.Wrong) > 0:
			verdict = "WRONG"
		case c.Skipped != "":
			verdict, answer = "-    ", c.Skipped
		}
		if answer != "" {
			answer = ": " + answer
		}
		fmt.Fprintf(&b, "%s  %s: %s%s\n", verdict, c.Group, c.Name, answer)
		for _, text := range c.Wrong {
			fmt.Fprintf(&b, "       %s\n", text)
		}
	}
	things := "checks"
	if len(checks) == 1 {
		things = "check"
	}
	fmt.Fprintf(&b, "%d %s, %d wrong", len(checks), things, Failed(checks))
	if n := Skipped(checks); n > 0 {
		fmt.Fprintf(&b, ", %d left out", n)
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// suite is a test suite as CI systems read it.
type suite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []suiteCase `xml:"testcase"`
}

type suiteCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Failure *message `xml:"failure"`
	Skipped *message `xml:"skipped"`
	Out     string   `xml:"system-out,omitempty"`
}

type message struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// PrintJUnit writes the checks as a JUnit test suite.
func PrintJUnit(w io.Writer, checks []Check) error {
	s := suite{Name: "waymark verify", Tests: len(checks), Failures: Failed(checks), Skipped: Skipped(checks)}
	for _, c := range checks {
		one := suiteCase{Class: "waymark." + c.Group, Name: c.Name, Out: c.Answer}
		switch {
		case len(c.Wrong) > 0:
			one.Failure = &message{Message: c.Wrong[0], Text: strings.Join(c.Wrong, "\n")}
		case c.Skipped != "":
			one.Skipped = &message{Message: c.Skipped}
		}
		s.Cases = append(s.Cases, one)
	}
	text, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
