// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/loader"
)

// question is a flow as the command line words it.
type question struct {
	pid          number
	socket       string
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
		Use:   "explain [--pid PID | --socket ADDRESS:PORT | --unit NAME | --container NAME | --cgroup PATH] [--uid UID] [--dst ADDRESS] ...",
		Short: "Say which match wins for a flow, and which way it takes",
		Long: `Answers for a process or a flow: the match that wins, its class, mark, rule,
table, next hop and source address, and the kernel's own answer for that mark
beside ours. The policy is the applied one, or that of -f.

--socket is for a connection that is open, TCP or UDP, by its own end, as ss shows
it: what it carries and which uplink it leaves by, and what a new one like it would
do. --proto, --dst and --dport choose among those that have that end.`,
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
				x, err := q.answer(c, l, policy, asked)
				if err != nil {
					return err
				}
				if o.format == "text" && colour(e) {
					return printExplanation(e.stdout, x, true)
				}
				return o.print(e.stdout, "Explanation", x, func(w io.Writer) error { return printExplanation(w, x, false) })
			})
		},
	}
	q.flags(c)
	s.fileFlag(c, "the policy that is applied")
	c.MarkFlagsMutuallyExclusive("socket", "file")
	s.cgroupFlag(c)
	o.flag(c)
	return c
}

// flags are the words of a question.
func (q *question) flags(c *cobra.Command) {
	f := c.Flags()
	f.Var(&q.pid, "pid", "a running process's `PID`: its cgroup and uid")
	f.StringVar(&q.socket, "socket", "", "an open connection's own `ADDRESS:PORT`")
	f.StringVar(&q.cgroup, "cgroup", "", "cgroup `PATH` below the cgroup root")
	f.StringVar(&q.unit, "unit", "", "a running system unit's `NAME`: its cgroup")
	f.StringVar(&q.container, "container", "", "a running container's `NAME`, or NAMESPACE/NAME or NAMESPACE/POD/NAME: its cgroup")
	f.StringVar(&q.uid, "uid", "", "`USER`, by name or number (default 0)")
	f.StringVar(&q.proto, "proto", "", "`PROTOCOL`: tcp, udp, icmp, ... or a number")
	f.StringVar(&q.src, "src", "", "`ADDRESS` the socket is bound to")
	f.StringVar(&q.dst, "dst", "", "destination `ADDRESS`")
	f.Var(&q.sport, "sport", "`PORT` the socket is bound to")
	f.Var(&q.dport, "dport", "destination `PORT`")
	c.MarkFlagsMutuallyExclusive("pid", "socket", "unit", "container", "cgroup")
	for _, told := range []string{"uid", "src", "sport"} {
		c.MarkFlagsMutuallyExclusive("socket", told)
	}
}

// loadOrApplied is the policy of -f, or the applied one.
func (s *source) loadOrApplied(l *loader.Loader) (*classes.Policy, error) {
	if s.files != nil {
		return s.loadAtOnce()
	}
	p, err := l.Applied()
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("nothing is applied in this network namespace: run `waymark apply`, or name a policy with -f")
	}
	return p, err
}

// answer asks for the open socket, or the flow.
func (q *question) answer(c *cobra.Command, l *loader.Loader, policy *classes.Policy, asked loader.Question) (*loader.Explanation, error) {
	if q.socket == "" {
		return l.Explain(policy, asked)
	}
	end, err := netip.ParseAddrPort(q.socket)
	if err != nil {
		return nil, usage(c, fmt.Errorf("--socket %q is no address and port, such as 192.0.2.7:40312 or [2001:db8::7]:40312", q.socket))
	}
	return l.ExplainSocket(end, asked)
}

// parse turns the words into a question.
func (q *question) parse(c *cobra.Command, l *loader.Loader, policy *classes.Policy) (out loader.Question, err error) {
	out = loader.Question{Cgroup: strings.Trim(l.Below(q.cgroup), "/"), Sport: uint16(q.sport.value), Dport: uint16(q.dport.value)}
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
		if zone := a.to.Zone(); zone != "" {
			out.Interface, *a.to = device(zone), a.to.WithZone("")
		}
	}
	if out.Src.IsValid() && out.Dst.IsValid() && plan.FamilyOf(out.Src) != plan.FamilyOf(out.Dst) {
		return out, usage(c, fmt.Errorf("--src %s and --dst %s are of different families", out.Src, out.Dst))
	}
	return out, nil
}

// device is the interface that a zone names, or has the number of.
func device(zone string) string {
	if n, err := strconv.Atoi(zone); err == nil {
		if i, err := net.InterfaceByIndex(n); err == nil {
			return i.Name
		}
	}
	return zone
}
