// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// Each change must show in State while it is there, and not after.
func TestStateShowsEveryChange(t *testing.T) {
	l := newLab(t, Options{AllDefaults: true})
	changes := map[string]struct{ do, undo string }{
		"rule":      {"ip rule add fwmark 1/1 lookup 99 priority 1000 protocol 77", "ip rule del priority 1000"},
		"rule 6":    {"ip -6 rule add fwmark 1/1 lookup 99 priority 1000", "ip -6 rule del priority 1000"},
		"route":     {"ip route add default via 10.0.2.1 table 99 protocol 77", "ip route flush table 99"},
		"route 6":   {"ip -6 route add default via 2001:db8:2::1 table 99", "ip -6 route flush table 99"},
		"next hop":  {"ip nexthop add id 5 via 10.0.2.1 dev up-b", "ip nexthop del id 5"},
		"address":   {"ip address add 10.0.1.9/24 dev up-a", "ip address del 10.0.1.9/24 dev up-a"},
		"nft":       {"nft add table inet ours", "nft delete table inet ours"},
		"qdisc":     {"tc qdisc add dev up-b clsact", "tc qdisc del dev up-b clsact"},
		"sysctl":    {"sysctl -qw net.ipv4.conf.lo.forwarding=1", "sysctl -qw net.ipv4.conf.lo.forwarding=0"},
		"sysctl 6":  {"sysctl -qw net.ipv6.conf.up-b.accept_ra=2", "sysctl -qw net.ipv6.conf.up-b.accept_ra=0"},
		"tc filter": {"tc filter add dev up-a egress prio 1 u32 match u32 0 0", "tc filter del dev up-a egress prio 1"},
	}
	check(t, l.Host.Command("tc", "qdisc", "add", "dev", "up-a", "clsact").Run())
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			before := must[string](t)(l.Host.State())
			check(t, l.Host.Command("sh", "-ec", change.do).Run())
			if during := must[string](t)(l.Host.State()); during == before {
				t.Errorf("State does not show %q", change.do)
			}
			check(t, l.Host.Command("sh", "-ec", change.undo).Run())
			if diff := cmp.Diff(before, must[string](t)(l.Host.State())); diff != "" {
				t.Errorf("State is not what it was (-before +after):\n%s", diff)
			}
		})
	}
}

func TestStateShowsPrograms(t *testing.T) {
	l := newLab(t, Options{Uplinks: 1})
	program := func(kind ebpf.ProgramType, attach ebpf.AttachType) *ebpf.Program {
		p := must[*ebpf.Program](t)(ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: kind, AttachType: attach, License: "Apache-2.0",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
		}))
		t.Cleanup(func() { p.Close() })
		return p
	}
	dir := must[string](t)(l.Cgroup("x.slice"))
	index := must[netlink.Link](t)(l.Host.link("up-a")).Attrs().Index
	attach := map[string]func() (link.Link, error){
		"cgroup /" + l.CgroupPath("x.slice") + " hook": func() (link.Link, error) {
			return link.AttachCgroup(link.CgroupOptions{
				Path: dir, Attach: ebpf.AttachCGroupInetSockCreate,
				Program: program(ebpf.CGroupSock, ebpf.AttachCGroupInetSockCreate),
			})
		},
		"tcx up-a hook": func() (made link.Link, err error) {
			err = l.Host.Do(func() (err error) {
				made, err = link.AttachTCX(link.TCXOptions{
					Interface: index, Attach: ebpf.AttachTCXEgress,
					Program: program(ebpf.SchedCLS, ebpf.AttachTCXEgress),
				})
				return err
			})
			return made, err
		},
	}
	for want, do := range attach {
		t.Run(want, func(t *testing.T) {
			before := must[string](t)(l.State())
			made := must[link.Link](t)(do())
			if during := must[string](t)(l.State()); !strings.Contains(during, want) || strings.Contains(before, want) {
				t.Errorf("State does not show %q", want)
			}
			check(t, made.Close())
			if diff := cmp.Diff(before, must[string](t)(l.State())); diff != "" {
				t.Errorf("State is not what it was (-before +after):\n%s", diff)
			}
		})
	}
}
