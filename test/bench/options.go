// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options say how much to measure.
type options struct {
	rules     []int // sizes, ascending
	forms     []form
	rounds    int           // turns A B B A of each measurement, at least
	most      int           // and at most, while it is too noisy
	sample    time.Duration // of each arm in each half of a turn
	applies   int           // repetitions of an apply that is timed
	repeat    int           // runs of a program in one BPF_PROG_TEST_RUN
	telemetry bool          // measure what telemetry costs, and nothing else
	quick     bool          // the figures mean nothing
	json      string        // a file; "": none
	progress  func(format string, args ...any)
}

// mostRules is what fits into world.
const mostRules = 100_000

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rules := flags.String("rules", "1,100,10000,100000", "how many rules, a list")
	forms := flags.String("forms", "5-tuple,cgroup", "what the rules look at, a list")
	flags.IntVar(&o.rounds, "rounds", 40, "turns A B B A of each measurement, at least")
	flags.IntVar(&o.most, "most", 400, "turns of a measurement, at most: it takes more of them while noise would void it")
	flags.DurationVar(&o.sample, "sample", 5*time.Millisecond, "length of one arm's part of half a turn")
	flags.StringVar(&o.json, "json", "", "file to write the results to")
	flags.BoolVar(&o.telemetry, "telemetry", false, "measure what telemetry costs, and nothing else")
	flags.BoolVar(&o.quick, "quick", false, "see that it works: tiny samples whose figures mean nothing")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("it takes flags only, and %q is none", flags.Arg(0))
	}
	o.progress = func(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
	o.applies, o.repeat = 3, 100_000
	if o.quick {
		o.rounds, o.most, o.sample, o.applies, o.repeat = 2, 2, 2*time.Millisecond, 1, 10_000
	}
	if o.rounds < 1 || o.sample <= 0 {
		return o, errors.New("-rounds and -sample must be more than nothing")
	}
	o.most = max(o.most, o.rounds)
	return o, errors.Join(o.readRules(*rules), o.readForms(*forms))
}

func (o *options) readRules(list string) error {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > mostRules {
			return fmt.Errorf("-rules: %q is not a number from 1 to %d", word, mostRules)
		}
		o.rules = append(o.rules, n)
	}
	slices.Sort(o.rules)
	o.rules = slices.Compact(o.rules)
	return nil
}

func (o *options) readForms(list string) error {
	for word := range strings.SplitSeq(list, ",") {
		f := form(strings.TrimSpace(word))
		if f != byTuple && f != byCgroup {
			return fmt.Errorf("-forms: %q is neither %s nor %s", word, byTuple, byCgroup)
		}
		o.forms = append(o.forms, f)
	}
	return nil
}
