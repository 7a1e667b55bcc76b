// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/loader"
)

// question is a flow as the command line words it.
type question struct {
	pid          number
	cgroup, unit string
	container    string
	uid          string
	proto        string
	src, dst     string
	sport, dport number
}

func newExplain(e env) *cobra.Command {
	s := source{env: e}
	var o output
	q := question{pid: number{lo: 1, hi: 1 << 22}, sport: number{lo: 1, hi: 65535}, dport: number{lo: 1, hi: 65535}}
	c := &cobra.Command{
		Use:   "explain [--pid PID] [--unit NAME] [--container NAME] [--cgroup PATH] [--uid UID] [--dst ADDRESS] ...",
		Short: "Say which match wins for a flow, and which way it takes",
		Long: `Answers for a process or a flow: the match that wins, its class, mark, rule,
table, next hop and source address, and the kernel's own answer for that mark
beside ours. The policy is the applied one, or that of -f.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.onHost(func(l *loader.Loader) error {
				policy, err := s.loadOrApplied(l)
				if err != nil {
					return err
				}
				asked, err := q.parse(c, l, policy)
				if err != nil {
					return err
				}
				x, err := l.Explain(policy, asked)
				if err != nil {
					return err
				}
				return o.print(e.stdout, "Explanation", x, func(w io.Writer) error { return printExplanation(w, x, colour(e)) })
			})
		},
	}
	f := c.Flags()
	f.Var(&q.pid, "pid", "a running process's `PID`: its cgroup and uid")
	f.StringVar(&q.cgroup, "cgroup", "", "cgroup `PATH` below the cgroup root")
	f.StringVar(&q.unit, "unit", "", "a running system unit's `NAME`: its cgroup")
	f.StringVar(&q.container, "container", "", "a running container's `NAME`, or NAMESPACE/NAME or NAMESPACE/POD/NAME: its cgroup")
	f.StringVar(&q.uid, "uid", "", "`USER`, by name or number (default 0)")
	f.StringVar(&q.proto, "proto", "", "`PROTOCOL`: tcp, udp, icmp, ... or a number")
	f.StringVar(&q.src, "src", "", "`ADDRESS` the socket is bound to")
	f.StringVar(&q.dst, "dst", "", "destination `ADDRESS`")
	f.Var(&q.sport, "sport", "`PORT` the socket is bound to")
	f.Var(&q.dport, "dport", "destination `PORT`")
	c.MarkFlagsMutuallyExclusive("pid", "unit", "container", "cgroup")
	s.fileFlag(c, "the policy that is applied")
	s.cgroupFlag(c)
	o.flag(c)
	return c
}

// loadOrApplied is the policy of -f, or the applied one.
func (s *source) loadOrApplied(l *loader.Loader) (*classes.Policy, error) {
	if s.files != nil {
		return s.load()
	}
	p, err := l.Applied()
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("nothing is applied in this network namespace: run `waymark apply`, or name a policy with -f")
	}
	return p, err
}

// parse turns the words into a question.
func (q *question) parse(c *cobra.Command, l *loader.Loader, policy *classes.Policy) (out loader.Question, err error) {
	out = loader.Question{Cgroup: strings.Trim(q.cgroup, "/"), Sport: uint16(q.sport.value), Dport: uint16(q.dport.value)}
	if q.pid.value != 0 {
		if out.Cgroup, out.UID, err = l.Process(q.pid.value); err != nil {
			return out, err
		}
	}
	if q.unit != "" {
		if out.Cgroup, err = l.Unit(q.unit); err != nil {
			return out, err
		}
	}
	if q.container != "" {
		if out.Cgroup, err = l.Container(policy, q.container); err != nil {
			return out, err
		}
	}
	if q.uid != "" {
		if out.UID, err = loader.User(q.uid); err != nil {
			return out, usage(c, err)
		}
	}
	if q.proto != "" {
		if out.Proto, err = classes.Protocol(q.proto); err != nil {
			return out, usage(c, err)
		}
	}
	for _, a := range []struct {
		flag, text string
		to         *netip.Addr
	}{{"src", q.src, &out.Src}, {"dst", q.dst, &out.Dst}} {
		if a.text == "" {
			continue
		}
		if *a.to, err = netip.ParseAddr(a.text); err != nil {
			return out, usage(c, fmt.Errorf("--%s %q is no address", a.flag, a.text))
		}
	}
	if out.Src.IsValid() && out.Dst.IsValid() && plan.FamilyOf(out.Src) != plan.FamilyOf(out.Dst) {
		return out, usage(c, fmt.Errorf("--src %s and --dst %s are of different families", out.Src, out.Dst))
	}
	return out, nil
}

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
			field("  leaves by", "%s", leavesBy(v))
			field("  source", "%s", sourceText(v))
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
