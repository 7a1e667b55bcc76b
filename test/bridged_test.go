// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"testing"

	"waymark/internal/lab"
)

// replug gives the machine behind the host's bridge another port of it, as when
// a container is started anew; what is returned takes that back.
func (s *site) replug(t *testing.T) (back func()) {
	t.Helper()
	shell := func(n *lab.Node, script string) {
		t.Helper()
		if out, err := n.Command("sh", "-ec", script).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	shell(s.Host, "ip link add lan1 type veth peer name eth1; ip link set eth1 netns "+s.LAN.NetnsPath()+"; ip link set lan1 master br-lan up")
	shell(s.LAN, `mac=$(ip -o link show eth0 | sed 's/.*ether \([^ ]*\).*/\1/')
ip link set eth0 down
ip link set eth0 name old
ip link set eth1 address "$mac"
ip link set eth1 name eth0
ip link set eth0 up
ip address add 192.168.50.100/24 dev eth0
ip address add 2001:db8:50::100/64 dev eth0 nodad
ip route add default via 192.168.50.1
ip route add default via 2001:db8:50::1`)
	return func() {
		shell(s.Host, "ip link del lan1")
		shell(s.LAN, "ip link set old name eth0")
		if err := s.LAN.SetLink("eth0", true); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPortAfterApply has a container behind a bridge get its port only when the
// policy is in force, on hosts that have their packet filter see what is bridged
// and on ones that do not.
func TestPortAfterApply(t *testing.T) {
	for _, calls := range []string{"0", "1"} {
		t.Run("bridge-nf-call "+calls, func(t *testing.T) {
			s := newTraffic(t, lab.Options{LAN: true, Forward: true})
			for _, name := range []string{"iptables", "ip6tables"} {
				if err := s.Host.Sysctl("net.bridge.bridge-nf-call-"+name, calls); err != nil {
					t.Skipf("the kernel has no packet filter for bridges: %v", err)
				}
			}
			s.shell(t, `nft -f - <<END
table inet others {
	chain before { type filter hook prerouting priority -150; ct state invalid drop; }
	chain forward { type filter hook forward priority 0; ct state established accept; }
}
END`)
			s.apply(t, traffic)
			defer s.replug(t)()
			for _, f := range bothFamilies {
				t.Run("last ACK/"+string(f), func(t *testing.T) { s.closes(t, s.LAN, in("closed.slice", f.job(lab.TCP, 1))) })
				for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
					for _, c := range behindTheHost(f, kind) {
						t.Run(fmt.Sprintf("%s/%s/%s", c.name, kind, f), func(t *testing.T) { s.passes(t, s.LAN, c.job, c.router) })
					}
				}
			}
		})
	}
}
