// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// ownMask are the bits of the mark that nft and iptables set.
const ownMask = 0xff

// routeMarks makes the marks of nft and iptables routes, with no more rules
// than it takes: for each class its own, in each of its uplinks' tables.
func routeMarks(ctx context.Context, a *arm) error {
	var commands strings.Builder
	for i := range a.lab.Routers {
		u := a.lab.Uplink(i)
		fmt.Fprintf(&commands, "route add default via %s dev %s table %d\n", u.Gateway4, u.Interface, firstTable+i)
	}
	for _, way := range fourWays {
		for hop, i := range way.route {
			fmt.Fprintf(&commands, "rule add priority %d fwmark %d/%d lookup %d\n", firstTable+10*way.mark+hop, way.mark, ownMask, firstTable+i)
		}
	}
	_, err := output(ctx, a.lab.Host.Command("ip", "-batch", "-"), commands.String())
	return err
}

const firstTable = 100

// nft is a host whose marks are set by nft.
type nft struct {
	text  func(policy, paths) string
	chain string // where the traffic is counted
}

func (nft) start(ctx context.Context, a *arm) error { return routeMarks(ctx, a) }

// apply loads the policy in one transaction. nft looks for cgroups below
// /sys/fs/cgroup, wherever cgroup2 is mounted, so it is given a view where
// that is so.
func (n nft) apply(ctx context.Context, a *arm, p policy, in paths) error {
	c := a.lab.Host.Command("sh", "-c", `mount --bind "$0" /sys/fs/cgroup && exec nft -f -`, a.cgroupMount())
	c.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	_, err := output(ctx, c, "flush ruleset\n"+n.text(p, in))
	return refused(err)
}

// classed reads the counter that the traffic comes by: of its class's chain,
// or where there are only maps to marks, of the rules.
func (n nft) classed(ctx context.Context, a *arm) (int, error) {
	out, err := output(ctx, a.lab.Host.Command("nft", "list", "chain", "ip", "bench", n.chain), "")
	if err != nil {
		return 0, err
	}
	return sumOf(nftCounter, out), nil
}

func (nft) end(*arm) error { return nil }

var (
	nftCounter      = regexp.MustCompile(`counter packets (\d+)`)
	iptablesCounter = regexp.MustCompile(`(?m)^\s*(\d+).* MARK `)
)

// sumOf adds up the numbers that a pattern finds.
func sumOf(pattern *regexp.Regexp, text string) (sum int) {
	for _, found := range pattern.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(found[1])
		sum += n
	}
	return sum
}

// iptables is a host whose marks are set by iptables.
type iptables struct{ restore, list string }

func (i *iptables) start(ctx context.Context, a *arm) error {
	for _, name := range []string{"iptables-legacy", "iptables"} {
		if path, err := exec.LookPath(name + "-restore"); err == nil {
			i.restore, i.list = path, name
			return routeMarks(ctx, a)
		}
	}
	return nil
}

func (i *iptables) apply(ctx context.Context, a *arm, p policy, in paths) error {
	switch {
	case i.restore == "":
		return unable{errors.New("iptables is not installed")}
	case p.form != byCgroup:
		return unable{errors.New("it is measured for cgroups: its rules for 5-tuples are as linear as nft's")}
	}
	_, err := output(ctx, a.lab.Host.Command(i.restore), iptablesCgroups(p, in))
	return refused(err)
}

func (i *iptables) classed(ctx context.Context, a *arm) (int, error) {
	out, err := output(ctx, a.lab.Host.Command(i.list, "-t", "mangle", "-vnxL", fourWays[len(fourWays)-1].name), "")
	return sumOf(iptablesCounter, out), err
}

func (*iptables) end(*arm) error { return nil }

// refused makes a tool's failure a reason to do without it.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return unable{err}
}
