// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"waymark/internal/plan"
	"waymark/loader"
)

// colour tells whether the output is a terminal whose user has not said no.
func colour(e env) bool {
	f, ok := e.stdout.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func printExplanation(w io.Writer, x *loader.Explanation, coloured bool) error {
	var b strings.Builder
	field := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s%s\n", name, fmt.Sprintf(format, args...))
	}
	if x.Socket != nil {
		printSocket(field, x)
	}
	if x.Line != "" {
		field("match", "%s  (%s)", x.Line, x.Position)
		field("class", "%s", x.Class)
		field("mark", "%#x/%#x", x.Mark, x.Mask)
	} else {
		field("match", "none")
		field("class", "%s: no mark is set", x.Class)
	}
	for _, way := range x.Ways {
		v := way.Verdict
		fmt.Fprintf(&b, "%s\n", way.Family)
		switch v.Rule.Action {
		case "":
			field("  rule", "none leads anywhere: the network is unreachable")
		case plan.Lookup:
			field("  rule", "%s", v.Rule.Args())
			field("  table", "%s: %s", plan.TableName(v.Rule.Table), v.Route.Args())
			if v.Does() == plan.Lookup {
				field("  leaves by", "%s", leavesBy(v))
				field("  source", "%s", sourceText(v))
			}
		default:
			field("  rule", "%s", v.Rule.Args())
		}
		if v.Rule.Rung != "" {
			field("  because", "%s: %s", v.Rule.Rung, v.Rule.Why)
		}
		for _, r := range v.Unsure {
			field("  not judged", "%s: whether it applies cannot be told from here", r.Args())
		}
		printKernel(field, way, coloured)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printSocket says what an open flow is and has; what follows is said of a new one like it.
func printSocket(field func(string, string, ...any), x *loader.Explanation) {
	s := x.Socket
	field("socket", "%s %s > %s", s.Proto, s.Source, s.Peer)
	field("held by", "%s, uid %d, cgroup %s", holders(s.Holders), s.UID, visible(s.Cgroup)) // here, for where there are colours no more is done about it
	field("carries", "%s", carries(x))
	field("leaves by", "%s", leavesByNow(s.Uplink))
}

func carries(x *loader.Explanation) string {
	s := x.Socket
	text := "no mark"
	if s.Mark != 0 {
		text = fmt.Sprintf("%#x/%#x: class %s", s.Mark, x.Mask, cmp.Or(s.As, s.Class))
	}
	if s.Mark != x.Mark {
		text += fmt.Sprintf("; a new one like it has class %s", x.Class)
	}
	return text
}

func leavesByNow(uplink string) string {
	if uplink == "" {
		return "none of the policy's uplinks"
	}
	return "uplink " + uplink
}

func leavesBy(v plan.Verdict) string {
	s := v.Interface
	if v.Gateway.IsValid() {
		s += " via " + v.Gateway.String()
	}
	if v.Uplink != "" {
		s = "uplink " + v.Uplink + ", " + s
	}
	return s
}

func sourceText(v plan.Verdict) string {
	if v.Source.IsValid() {
		return v.Source.String()
	}
	return "the kernel's choice"
}

func printKernel(field func(string, string, ...any), way loader.Way, coloured bool) {
	a := way.Kernel
	switch {
	case a == nil:
		field("  kernel", "not asked: give --dst")
		return
	case a.Err != "":
		field("  kernel", "%s", a.Err)
	case a.Gateway.IsValid():
		field("  kernel", "table %s, %s via %s, source %s", plan.TableName(a.Table), a.Interface, a.Gateway, a.Source)
	default:
		field("  kernel", "table %s, %s, source %s", plan.TableName(a.Table), a.Interface, a.Source)
	}
	red, plain := "", ""
	if coloured {
		red, plain = "\x1b[31m", "\x1b[0m"
	}
	for _, d := range way.Differs {
		field("  DIFFERS", "%s%s%s", red, d, plain)
	}
}
