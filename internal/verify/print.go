// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
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

// Run is when and where checks were made.
type Run struct {
	Host  string
	Began time.Time
	Took  time.Duration
}

// suite is a test suite as CI systems read it, with all that the schema of Ant's
// JUnit task asks for; that of Jenkins takes it too.
type suite struct {
	XMLName    xml.Name    `xml:"testsuite"`
	Name       string      `xml:"name,attr"`
	Tests      int         `xml:"tests,attr"`
	Failures   int         `xml:"failures,attr"`
	Skipped    int         `xml:"skipped,attr"`
	Errors     int         `xml:"errors,attr"`
	Time       string      `xml:"time,attr"` // seconds
	Timestamp  string      `xml:"timestamp,attr"`
	Hostname   string      `xml:"hostname,attr"`
	Properties struct{}    `xml:"properties"`
	Cases      []suiteCase `xml:"testcase"`
	Out        string      `xml:"system-out"` // the answers
	Err        string      `xml:"system-err"`
}

type suiteCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    int      `xml:"time,attr"` // is not known of each
	Failure *failure `xml:"failure"`
	Skipped *message `xml:"skipped"`
}

type failure struct {
	message
	Type string `xml:"type,attr"`
}

type message struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// PrintJUnit writes the checks as a JUnit test suite.
func PrintJUnit(w io.Writer, checks []Check, run Run) error {
	s := suite{Name: "waymark verify", Tests: len(checks), Failures: Failed(checks), Skipped: Skipped(checks), Hostname: cmp.Or(run.Host, "localhost")}
	s.Time, s.Timestamp = fmt.Sprintf("%.3f", run.Took.Seconds()), run.Began.UTC().Format("2006-01-02T15:04:05")
	for _, c := range checks {
		one := suiteCase{Class: "waymark." + c.Group, Name: c.Name}
		switch {
		case len(c.Wrong) > 0:
			one.Failure = &failure{message{c.Wrong[0], strings.Join(c.Wrong, "\n")}, "wrong"}
		case c.Skipped != "":
			one.Skipped = &message{Message: c.Skipped}
		}
		if s.Cases = append(s.Cases, one); c.Answer != "" {
			s.Out += fmt.Sprintf("%s: %s: %s\n", c.Group, c.Name, c.Answer)
		}
	}
	text, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
