// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Other people's configuration of a host, where ours will be too.
const foreignCommands = `
ip rule add priority 500 from 192.0.2.0/24 lookup 77
ip -6 rule add priority 1005 from 2001:db8:77::/64 lookup 77 protocol 200
ip rule add priority 1003 fwmark 0x40/0xff lookup 77
ip -6 rule add priority 32700 fwmark 0x800000/0x800000 prohibit
ip route add 198.51.100.0/24 via 10.0.2.1 dev up-b
ip route add 198.51.100.0/24 via 10.0.1.1 dev up-a metric 50 table 77 protocol 99
ip route add unreachable default table 77
ip -6 route add 2001:db8:77::/64 via 2001:db8:2::1 dev up-b table 77
ip route add default via 10.0.2.1 dev up-b metric 4000
tc qdisc add dev up-b clsact
tc filter add dev up-b egress protocol ip pref 7 u32 match u32 0 0 flowid 1:1
tc filter add dev up-b ingress protocol ip pref 9 bpf direct-action bytecode "1,6 0 0 4294967295"
nft add table inet theirs
nft add chain inet theirs out '{ type filter hook output priority 0; }'
nft add rule inet theirs out meta mark 0x40 counter accept
echo 1 > /proc/sys/net/ipv4/conf/up-b/rp_filter
echo 1 > /proc/sys/net/ipv4/conf/up-b/ignore_routes_with_linkdown
echo 1 > /proc/sys/net/ipv4/conf/all/log_martians
echo 1 > /proc/sys/net/ipv4/fwmark_reflect
`

// shell runs commands on the host, all of which have to succeed.
func (s *site) shell(t *testing.T, commands string) {
	t.Helper()
	if out, err := s.Host.Command("sh", "-ec", commands).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// foreign puts all that in place, and programs of others at every kind of
// hook that ours go to.
func (s *site) foreign(t *testing.T) {
	t.Helper()
	s.shell(t, foreignCommands)
	for name, attach := range foreignHooks {
		s.attachForeign(t, name, attach)
	}
	s.attachTCX(t, s.Uplink(byA).Interface)
	s.attachTCX(t, s.Uplink(byB).Interface)
}

var foreignHooks = map[string]ebpf.AttachType{
	"sock_create": ebpf.AttachCGroupInetSockCreate,
	"connect4":    ebpf.AttachCGroupInet4Connect,
	"sendmsg6":    ebpf.AttachCGroupUDP6Sendmsg,
	"egress":      ebpf.AttachCGroupInetEgress,
}

// attachForeign attaches a program that allows everything to the root of the
// laboratory's cgroups, for as long as the site.
func (s *site) attachForeign(t *testing.T, name string, attach ebpf.AttachType) link.Link {
	t.Helper()
	kind := ebpf.CGroupSockAddr
	switch attach {
	case ebpf.AttachCGroupInetSockCreate:
		kind = ebpf.CGroupSock
	case ebpf.AttachCGroupInetEgress:
		kind = ebpf.CGroupSKB
	}
	p := s.foreignProgram(t, name, kind, attach, 1)
	dir := must[*os.File](t)(os.Open(s.CgroupRoot()))
	defer dir.Close()
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: p, Attach: attach})
	if err != nil {
		t.Fatal(err)
	}
	s.foreigners = append(s.foreigners, l.Close)
	return l
}

// attachTCX attaches a program without an opinion to the egress of one of
// the host's interfaces.
func (s *site) attachTCX(t *testing.T, iface string) (l link.Link) {
	t.Helper()
	p := s.foreignProgram(t, "theirs", ebpf.SchedCLS, ebpf.AttachTCXEgress, -1)
	index := must[int](t)(s.index(iface))
	if err := s.Host.Do(func() (err error) {
		l, err = link.AttachTCX(link.TCXOptions{Interface: index, Program: p, Attach: ebpf.AttachTCXEgress})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.foreigners = append(s.foreigners, l.Close)
	return l
}

func (s *site) index(iface string) (int, error) {
	l, err := s.Host.Handle().LinkByName(iface)
	if err != nil {
		return 0, err
	}
	return l.Attrs().Index, nil
}

// foreignProgram returns a constant.
func (s *site) foreignProgram(t *testing.T, name string, kind ebpf.ProgramType, attach ebpf.AttachType, verdict int32) *ebpf.Program {
	t.Helper()
	p := must[*ebpf.Program](t)(ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: kind, AttachType: attach, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
	}))
	s.foreigners = append(s.foreigners, p.Close)
	return p
}

// exclusive attaches a program in the old way, which forbids all others.
func (s *site) exclusive(t *testing.T, name string, attach ebpf.AttachType) {
	t.Helper()
	p := s.foreignProgram(t, name, ebpf.CGroupSockAddr, attach, 1)
	dir := must[*os.File](t)(os.Open(s.CgroupRoot()))
	err := link.RawAttachProgram(link.RawAttachProgramOptions{Target: int(dir.Fd()), Program: p, Attach: attach})
	if err != nil {
		t.Fatal(err)
	}
	s.foreigners = append(s.foreigners, func() error {
		defer dir.Close()
		return link.RawDetachProgram(link.RawDetachProgramOptions{Target: int(dir.Fd()), Program: p, Attach: attach})
	})
}
