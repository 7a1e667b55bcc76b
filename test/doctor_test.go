// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"waymark/internal/lab"
	"waymark/internal/neighbours"
	"waymark/internal/registry"
)

// doctor runs it in the laboratory's host.
func (s *site) doctor(t *testing.T) neighbours.Report {
	t.Helper()
	o := s.waymark(t, "doctor", "--cgroup-root", s.CgroupRoot(), "-o", "json")
	if o.code != 0 && o.code != 2 {
		t.Fatalf("doctor: exit %d: %s", o.code, o.stderr)
	}
	report := item[neighbours.Report](t, o.stdout)
	if report.Serious() != (o.code == 2) {
		t.Errorf("exit %d, and the report is %+v", o.code, report)
	}
	return report
}

// own are the findings that are of the laboratory's host, and not of the
// machine around it, whose resolver and processes all its namespaces share.
func own(r neighbours.Report) (findings []neighbours.Finding) {
	for _, f := range r.Findings {
		if !strings.HasPrefix(f.What, "names are resolved") {
			findings = append(findings, f)
		}
	}
	return findings
}

func TestDoctorFindsNothingOnAnEmptyHost(t *testing.T) {
	s := newSite(t, lab.Options{})
	if r := s.doctor(t); len(own(r)) != 0 || len(r.Unseen) != 0 {
		t.Errorf("found %+v, not looked at %q", own(r), r.Unseen)
	}
}

// Nor on one that Waymark has been applied to.
func TestDoctorDoesNotFindWaymark(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	if found := own(s.doctor(t)); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
}

// TestDoctorKnowsEveryTool plants what each entry of the registry uses, all at
// once, and looks for each by what was planted.
func TestDoctorKnowsEveryTool(t *testing.T) {
	s := newSite(t, lab.Options{})
	type planted struct{ tool, says string }
	var all []planted
	var script strings.Builder
	for k, tool := range registry.Tools {
		priority := tool.Priorities.First
		if priority == 0 {
			priority = uint32(20000 + k)
		}
		rule := fmt.Sprintf("priority %d", priority)
		if tool.Mask != 0 {
			rule += fmt.Sprintf(" fwmark %#x/%#x", tool.Mark, tool.Mask)
		}
		fmt.Fprintf(&script, "ip rule add %s lookup %d\n", rule, max(tool.Tables.First, 99))
		all = append(all, planted{tool.Name, fmt.Sprintf("priority %d ", priority)})
	}
	script.WriteString("nft add table inet planted\n")
	for k, sign := range registry.Signs {
		for i, name := range sign.Interfaces {
			name = strings.Replace(name, "*", "0", 1)
			fmt.Fprintf(&script, "ip link add %s type veth peer name planted%d-%d\n", name, k, i)
			if i == 0 {
				all = append(all, planted{sign.Tool, "interface " + name})
			}
		}
		for _, name := range sign.Filters {
			name = strings.Replace(name, "*", "X", 1)
			fmt.Fprintf(&script, "nft 'add chain inet planted %s; add rule inet planted %s meta mark set 0x5'\n", name, name)
			all = append(all, planted{sign.Tool, "chain " + name + ","})
		}
	}
	s.shell(t, script.String())
	findings := s.doctor(t).Findings
	for _, p := range all {
		if !slices.ContainsFunc(findings, func(f neighbours.Finding) bool {
			return strings.Contains(f.Owner, p.tool) && strings.Contains(f.What, p.says)
		}) {
			t.Errorf("doctor finds nothing of %s that speaks of %q", p.tool, p.says)
		}
	}
	if t.Failed() {
		t.Logf("found %+v", findings)
	}
}

// planted has somebody do something, and doctor name him and speak of it.
func (s *site) planted(t *testing.T, owner, plant, remove, says string) {
	t.Helper()
	s.shell(t, plant)
	defer s.shell(t, remove)
	for _, f := range s.doctor(t).Findings {
		if strings.Contains(f.Owner, owner) && strings.Contains(f.What+f.Owner+f.Why+f.Cure, says) {
			return
		}
	}
	t.Errorf("%s: doctor finds nothing of %q that speaks of %q: %+v", plant, owner, says, own(s.doctor(t)))
}

// TestDoctorFindsConflicts plants each thing that it looks for.
func TestDoctorFindsConflicts(t *testing.T) {
	s := newSite(t, lab.Options{AllDefaults: true})
	networkd := filepath.Join(t.TempDir(), "systemd-networkd")
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(networkd, sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ plant, remove, says string }{
		{"nft add table inet x; nft add chain inet x c '{ type filter hook output priority mangle; }'; nft add rule inet x c meta mark set 0x5",
			"nft delete table inet x", "nft delete rule inet x c handle"},
		{"nft add table inet x; nft add chain inet x c; nft add rule inet x c meta mark set ct mark", "nft delete table inet x", "the connection's mark"},
		{"iptables -t mangle -A OUTPUT -j MARK --set-mark 1", "iptables -t mangle -F", "iptables -t mangle -D OUTPUT"},
		{"ip6tables -t mangle -A PREROUTING -j CONNMARK --restore-mark", "ip6tables -t mangle -F", "ip6tables -t mangle -D PREROUTING"},
		{"ip xfrm policy add dst 192.0.2.0/24 dir out mark 0x80000000 mask 0x80000000", "ip xfrm policy flush", "ip xfrm policy delete index"},
		{"ip route add unreachable default metric 9999", "ip route del unreachable default metric 9999", "ip -4 rule add priority 32767 unreachable"},
		{"ip route add 0.0.0.0/1 dev up-b; ip route add 128.0.0.0/1 dev up-b", "ip route del 0.0.0.0/1; ip route del 128.0.0.0/1", "half default routes"},
		{"ip -6 route add ::/1 dev up-b; ip -6 route add 8000::/1 dev up-b", "ip -6 route del ::/1; ip -6 route del 8000::/1", "half default routes"},
		{"sysctl -qw net.ipv4.conf.up-b.rp_filter=1", "sysctl -qw net.ipv4.conf.up-b.rp_filter=0", "reverse path filter of up-b"},
		{"sysctl -qw net.ipv4.conf.all.src_valid_mark=1", "sysctl -qw net.ipv4.conf.all.src_valid_mark=0", "src_valid_mark"},
		{"sysctl -qw net.ipv4.tcp_fwmark_accept=1", "sysctl -qw net.ipv4.tcp_fwmark_accept=0", "tcp_fwmark_accept"},
		{"sysctl -qw net.ipv4.ip_forward=1; nft add table ip n; nft add chain ip n p '{ type nat hook postrouting priority srcnat; }'; nft add rule ip n p oifname up-a masquerade",
			"nft delete table ip n; sysctl -qw net.ipv4.ip_forward=0", "forwarded out of up-b"},
		{"nft add table ip n; nft add chain ip n c '{ type filter hook prerouting priority mangle; }'; nft add rule ip n c ct mark set 0xf41", "nft delete table ip n", "connections' marks"},
		{"ip rule add priority 1100 lookup local; ip rule del priority 0 lookup local", "ip rule add priority 0 lookup local; ip rule del priority 1100 lookup local", "packets to this host itself"},
		{"ip link set up-b mtu 1400", "ip link set up-b mtu 1500", "up-b 1400"},
		{"ip rule add priority 1300 fwmark 0x10000000/0x10000000 lookup 99", "ip rule del priority 1300", "0xa7000000"},
		{"ip route add local default dev lo table 100; ip rule add priority 32000 fwmark 0x1/0x1 lookup 100", "ip rule del priority 32000; ip route del local default dev lo table 100", "transparent proxy"},
		{"ip route add local default dev lo table 100; ip rule add priority 90 fwmark 0x1 lookup 100", "ip rule del priority 90; ip route del local default dev lo table 100", "fwmark 0x1/0x1 lookup 100; ip -4 rule del"},
		{networkd + " 1000 >/dev/null 2>&1 & echo $! > " + networkd + ".pid", "kill $(cat " + networkd + ".pid)", "removes rules that are not its own"},
	} {
		s.planted(t, "", c.plant, c.remove, c.says)
	}
	s.doctor(t)
}

// TestDoctorFindsPrograms finds those of others at each kind of place, and
// whose they are.
func TestDoctorFindsPrograms(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.attachForeign(t, "connector", ebpf.AttachCGroupInet4Connect)
	s.attachTCX(t, s.Uplink(byA).Interface)
	found := own(s.doctor(t))
	for _, says := range []string{"(connector) is attached at hook", "(theirs) is attached at TCXEgress of interface up-a"} {
		if !slices.ContainsFunc(found, func(f neighbours.Finding) bool {
			return strings.Contains(f.What, says) && strings.Contains(f.Owner, fmt.Sprintf("(pid %d)", os.Getpid()))
		}) {
			t.Errorf("nothing of this process that speaks of %q: %+v", says, found)
		}
	}
}

// TestDoctorFindsSockets finds one that carries bits of the mask that no class
// gave it, and whose it is.
func TestDoctorFindsSockets(t *testing.T) {
	s := newSite(t, lab.Options{})
	c, err := s.Host.Open(lab.Job{Kind: lab.UDP, To: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.1:7")}, Mark: 0x81000000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	found := own(s.doctor(t))
	if !slices.ContainsFunc(found, func(f neighbours.Finding) bool {
		return strings.Contains(f.What, "0x81000000") && f.Severity == neighbours.Serious && strings.Contains(f.Owner, "(pid ")
	}) {
		t.Errorf("nothing about the socket and its process: %+v", found)
	}
}
