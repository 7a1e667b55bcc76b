// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/verify"
	"waymark/internal/witness"
	"waymark/loader"
)

// errWrong is how `verify` says that a check failed, and errDrift that the
// kernel only lacks something of the plan.
var (
	errWrong = errors.New("verify: not all is as the policy says")
	errDrift = errors.New("verify: the kernel lacks something of the plan, or has too much: `waymark apply` puts that right")
)

// verification is what `verify` is asked for.
type verification struct {
	source
	output
	host                     string
	simulate, describe, live bool
	inject, here, yes        bool
	targets                  []string
	began                    time.Time
}

func newVerify(e env) *cobra.Command {
	v := &verification{source: source{env: e}}
	c := &cobra.Command{
		Use:   "verify [-f FILE]",
		Short: "Check that the kernel does what the policy says, match by match",
		Long: `Holds the kernel against the policy that is applied, or that of -f: its rules,
routes, sysctls, programs and maps; and for every match, in both families, which
match wins a flow of its own, which class the programs give it, and which route the
kernel has for that; and where its rules lead each class while uplinks are down.
Nothing is changed and nothing is sent: the programs are asked by sockets in a network
namespace of their own, in cgroups below the classes' that are removed again.

--live sends: for every class, in both families, a process in its cgroup and with its
uid connects to a target that one of its matches takes, and is seen to leave by the
right uplink, and counted there. Targets are those of --target, or what the policy's
probes ask by TCP.

--inject takes each uplink down in turn, and then all, in a copy of this host's network
state in namespaces, where the policy is applied, too: processes of every class send
there, and are seen to do what the policy says. The host itself is left as it is. What
filters would drop is let through there. For a match on "iif" a packet comes in,
by a port if that is a bridge; VLANs of bridges are not copied.

--inject --on-host --yes does it to this host's own interfaces, one after the other:
each is down for as long as all classes have sent, a second or more, and gets its
addresses and routes back. What needs it meanwhile is cut off, you perhaps among it.

--simulate asks no kernel and needs no rights: it holds the policy of -f against
the description of a host, which --describe writes there, and says what each class
would do, also with each uplink down.

"-o junit" is for a CI system. Exit code 1: something is wrong. 2: the kernel only
lacks something of the plan. 3: the policy is wrong on that host.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return v.run() },
	}
	v.fileFlag(c, "the policy that is applied")
	v.cgroupFlag(c)
	v.flag(c)
	f := c.Flags()
	f.BoolVar(&v.describe, "describe", false, "write the description of this host, as JSON, and check nothing")
	f.BoolVar(&v.simulate, "simulate", false, "check the policy on the host of --host, and ask no kernel")
	f.StringVar(&v.host, "host", "", "`FILE` that --describe wrote")
	f.BoolVar(&v.live, "live", false, "also send: connect from every class to a target")
	f.StringArrayVar(&v.targets, "target", nil, "`ADDRESS:PORT` that answers by TCP, for --live; may be repeated")
	f.BoolVar(&v.inject, "inject", false, "also take each uplink down, in a copy of this host")
	f.BoolVar(&v.here, "on-host", false, "with --inject and --yes: of this host itself")
	f.BoolVar(&v.yes, "yes", false, "this host may lose each of its uplinks for a while")
	f.Lookup("output").Usage = "`FORMAT` to print in: text, json or junit"
	c.PreRunE = func(c *cobra.Command, _ []string) error { return v.check(c) }
	return c
}

// check refuses what does not go together.
func (v *verification) check(c *cobra.Command) error {
	switch {
	case v.simulate && v.host == "":
		return usage(c, errors.New("--simulate needs --host FILE: write it on the host with `waymark verify --describe > FILE`"))
	case v.simulate && (v.sends() || v.inject):
		return usage(c, errors.New("--simulate asks no kernel and sends nothing: leave out --live, --target and --inject"))
	case v.here && !(v.inject && v.yes):
		return usage(c, errors.New("--on-host takes this host's own uplinks down, one after the other: it needs --inject and --yes"))
	case v.here && v.files != nil:
		return usage(c, errors.New("--on-host is for the policy that is applied: leave out -f"))
	case v.host != "" && !v.simulate:
		return usage(c, errors.New("--host is for --simulate"))
	case v.describe && v.simulate:
		return usage(c, errors.New("--describe and --simulate do not go together: one writes the file that the other reads"))
	case v.format == "junit" && !v.describe:
		return nil
	}
	return v.output.check(c)
}

func (v *verification) run() error {
	v.began = time.Now()
	v.signals.endAtOnce(v.simulate || v.describe)
	if v.simulate {
		checks, err := v.simulated()
		if err != nil {
			return err
		}
		return v.report(checks)
	}
	return v.onHost(func(l *loader.Loader) error {
		if v.describe {
			return v.printHost(l)
		}
		policy, err := v.loadOrApplied(l)
		if err != nil {
			return err
		}
		checks, err := v.checks(l, policy)
		if err != nil {
			return err
		}
		return v.report(checks)
	})
}

// checks are those of the policy on this host.
func (v *verification) checks(l *loader.Loader, policy *classes.Policy) ([]verify.Check, error) {
	held, err := l.Verify(policy)
	if err != nil {
		return nil, err
	}
	asked, err := witness.Classify(l, held, v.done)
	if err != nil {
		return nil, err
	}
	checks := append(held.Checks, asked...)
	if v.sends() {
		targets, err := v.targetsOf(policy)
		if err != nil {
			return nil, err
		}
		seen, err := witness.Live(l, held, targets, v.done)
		if err != nil {
			return nil, err
		}
		checks = append(checks, seen...)
	}
	if v.inject {
		seen, err := v.injected(l, policy, held)
		if err != nil {
			return nil, err
		}
		checks = append(checks, seen...)
	}
	return checks, nil
}

// injected are the checks with uplinks down. A terminal that goes away with one
// must not end the command before the uplink is back.
func (v *verification) injected(l *loader.Loader, policy *classes.Policy, held *loader.Verified) ([]verify.Check, error) {
	if !v.here {
		return witness.Inject(l, policy, held.CgroupRoot, v.done)
	}
	signal.Ignore(syscall.SIGHUP)
	return witness.TakeDown(l, held, v.done)
}

// sends tells whether connections are asked for.
func (v *verification) sends() bool { return v.live || len(v.targets) > 0 }

// targetsOf are those that were named, or else the policy's.
func (v *verification) targetsOf(policy *classes.Policy) (targets []netip.AddrPort, err error) {
	for _, text := range v.targets {
		a, err := netip.ParseAddrPort(text)
		if err != nil || a.Port() == 0 {
			return nil, fmt.Errorf("--target %s: write an address and a port, 203.0.113.9:443 or [2001:db8::9]:443", text)
		}
		targets = append(targets, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
	}
	if targets == nil {
		targets = witness.Targets(policy)
	}
	if targets == nil {
		return nil, errors.New("verify --live: the policy's probes ask nobody by TCP: name a target that answers, with --target ADDRESS:PORT")
	}
	return targets, nil
}

// simulated are the checks of the policy on the host that a file describes.
func (v *verification) simulated() ([]verify.Check, error) {
	policy, err := v.loadAtOnce()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(v.host)
	if err != nil {
		return nil, fmt.Errorf("read the host's description: %w", err)
	}
	h, err := verify.ReadHost(text)
	if err != nil {
		return nil, fmt.Errorf("read the host's description %s: %w", v.host, err)
	}
	return verify.Simulate(policy, h)
}

func (v *verification) printHost(l *loader.Loader) error {
	h, err := l.Describe()
	if err != nil {
		return err
	}
	text, err := h.Encode()
	if err != nil {
		return err
	}
	_, err = v.stdout.Write(text)
	return err
}

// report prints the checks; the error is how the command ends.
func (v *verification) report(checks []verify.Check) error {
	var err error
	if v.format == "junit" {
		name, _ := os.Hostname() // "": it is nowhere said
		err = verify.PrintJUnit(v.stdout, checks, verify.Run{Host: name, Began: v.began, Took: time.Since(v.began)})
	} else {
		err = v.print(v.stdout, "Verification", checks, func(w io.Writer) error { return verify.Print(w, checks) })
	}
	switch {
	case err != nil:
		return err
	case verify.Differs(checks):
		return errDrift
	case verify.Failed(checks) > 0:
		return errWrong
	}
	return nil
}
