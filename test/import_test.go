// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

// A wayOfOld is multi-homing as people have it without Waymark.
type wayOfOld struct {
	set, remove string            // as a shell does it
	files       map[string]string // that are imported, and not the host; set does what they say
	users       []uint32
}

// waysOfOld are a table of b, and rules by user, destination and mark: by hand with a
// filter of nft's that sets the mark, by iptables, which saves it with the connection,
// and by files of netplan and systemd-networkd with a table that has a name.
var waysOfOld = map[string]wayOfOld{
	"by hand": {
		set: tableOfB + `
for f in -4 -6; do
	ip $f rule add priority 500 uidrange 2001-2009 lookup 100
	ip $f rule add priority 510 fwmark 0x5 lookup 100
	ip $f rule add priority 511 fwmark 0x5 unreachable
done
ip -4 rule add priority 520 to 203.0.113.3 lookup 100
nft 'table inet hand {
	chain out { type route hook output priority mangle; meta skuid 2020 meta mark set 0x5; udp dport 7 ip6 daddr 2001:db8:f::4 meta mark set 0x5; }
	chain in { type filter hook prerouting priority mangle; iifname "br-lan" tcp dport 7 meta mark set 0x5; }
}'`,
		remove: "nft delete table inet hand",
		users:  []uint32{0, 2001, 2009, 2010, 2020},
	},
	"iptables": {
		set: tableOfB + `
for f in -4 -6; do ip $f rule add priority 500 fwmark 0x10/0xf0 lookup 100; done
for t in iptables ip6tables; do
	$t -t mangle -N pick
	$t -t mangle -A OUTPUT -j CONNMARK --restore-mark --nfmask 0xf0 --ctmask 0xf0
	$t -t mangle -A OUTPUT -m mark ! --mark 0/0xf0 -j RETURN
	$t -t mangle -A OUTPUT -p udp --dport 7 -j pick
	$t -t mangle -A pick -m owner --uid-owner 2010 -j RETURN
	$t -t mangle -A pick -m owner --uid-owner 2001-2020 -j MARK --set-xmark 0x10/0xf0
	$t -t mangle -A OUTPUT -j CONNMARK --save-mark --nfmask 0xf0 --ctmask 0xf0
	$t -t mangle -A PREROUTING -i br-lan -p udp -j MARK --set-xmark 0x10/0xf0
done`,
		remove: "for t in iptables ip6tables; do $t -t mangle -F; $t -t mangle -X; done; nft delete table ip mangle; nft delete table ip6 mangle",
		users:  []uint32{0, 2001, 2010},
	},
	"files": {
		set: tableOfB + `
for f in -4 -6; do ip $f rule add priority 500 uidrange 2001-2009 lookup 100; done
ip -4 rule add priority 510 to 203.0.113.3 lookup 100
ip -6 rule add priority 520 iif br-lan ipproto tcp dport 7 lookup 100
ip -4 rule add priority 530 from 192.168.50.0/24 lookup 100`,
		files: map[string]string{
			"networkd.conf":  "[Network]\nRouteTable=isp2:100\n",
			"10-a.network":   "[Match]\nName=up-a\n[Network]\nAddress=10.0.1.2/24\nAddress=2001:db8:1::2/64\nGateway=10.0.1.1\nGateway=2001:db8:1::1\n",
			"20-b.network":   "[Match]\nName=up-b\n[Network]\nAddress=10.0.2.2/24\nAddress=2001:db8:2::2/64\n[Route]\nGateway=10.0.2.1\nTable=isp2\n[Route]\nGateway=2001:db8:2::1\nTable=isp2\n[RoutingPolicyRule]\nUser=2001-2009\nFamily=both\nTable=isp2\nPriority=500\n[RoutingPolicyRule]\nTo=203.0.113.3\nTable=isp2\nPriority=510\n",
			"30-lan.network": "[Match]\nName=br-lan\n[RoutingPolicyRule]\nIncomingInterface=br-lan\nFamily=ipv6\nIPProtocol=tcp\nDestinationPort=7\nTable=isp2\nPriority=520\n",
			"50.yaml":        "network: {ethernets: {up-b: {routing-policy: [{from: 192.168.50.0/24, table: 100, priority: 530}]}}}\n",
		},
		users: []uint32{0, 2001, 2010},
	},
}

const (
	tableOfB     = `ip -4 route add default via 10.0.2.1 table 100; ip -6 route add default via 2001:db8:2::1 table 100`
	withoutRules = `
ip -4 route flush table 100; ip -6 route flush table 100
for f in -4 -6; do for p in $(ip $f rule | sed -n 's/^\(5[0-9]*\):.*/\1/p'); do ip $f rule del priority $p; done; done`
)

// TestImport sends what a set-up steers, has it imported, takes it away and sends the
// same: by the same routers.
func TestImport(t *testing.T) {
	s := newSite(t, lab.Options{LAN: true, Forward: true})
	for name, w := range waysOfOld {
		t.Run(name, func(t *testing.T) {
			s.shell(t, w.set)
			before := s.steered(t, w.users)
			args := []string{"import", "-f", filepath.Join(t.TempDir(), "imported.yaml")}
			policy := args[2]
			for file, text := range w.files {
				args = append(args, filepath.Join(filepath.Dir(policy), file))
				if err := os.WriteFile(args[len(args)-1], []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s.ok(t, args...)
			s.shell(t, w.remove+withoutRules)
			s.ok(t, "apply", "-f", policy, "--cgroup-root", s.CgroupRoot())
			defer s.ok(t, "down", "--cgroup-root", s.CgroupRoot())
			if diff := cmp.Diff(before, s.steered(t, w.users)); diff != "" {
				t.Errorf("which router gets what (-before +imported):\n%s\n%s", diff, must[[]byte](t)(os.ReadFile(policy)))
			}
			for _, router := range []int{byA, byB} {
				if !slices.Contains(slices.Collect(maps.Values(before)), router) {
					t.Errorf("before, nothing goes to router %d: %v", router, before)
				}
			}
		})
	}
}

// steered is the router that gets each of some datagrams and connections, of
// users and of what is forwarded; -1: none does.
func (s *site) steered(t *testing.T, users []uint32) map[string]int {
	t.Helper()
	by := map[string]int{}
	router := func(trip trip) int {
		return slices.IndexFunc(trip.at, func(packets []lab.Packet) bool { return len(packets) > 0 })
	}
	for _, f := range bothFamilies {
		for _, uid := range users {
			for service := 1; service <= 4; service++ {
				job := f.job(lab.SendTo, service)
				// A filter marks when the source is chosen already: there is no answer.
				job.UID, job.GID, job.Count, job.Size, job.NoReply = uid, uid, 1, 8, true
				by[fmt.Sprintf("%s, user %d, to %d", f, uid, service)] = router(s.send(t, s.Host, job))
			}
		}
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			by[fmt.Sprintf("%s forwarded, %s", kind, f)] = router(s.send(t, s.LAN, f.job(kind, 1)))
		}
	}
	return by
}
