// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// inTunnel is where the tunnels of a test lead.
var inTunnel = netip.MustParseAddrPort("198.18.0.2:7")

// tunnels make the interface tun0, LOCAL and REMOTE its ends outside.
var tunnels = map[ip]map[string]string{
	v4: {
		"ipip":      "ip link add tun0 type ipip local LOCAL remote REMOTE",
		"gre":       "ip link add tun0 type gre local LOCAL remote REMOTE",
		"vxlan":     "ip link add tun0 type vxlan id 7 local LOCAL remote REMOTE dstport 4789",
		"wireguard": wireguard,
	},
	v6: {
		"ip6tnl":    "ip link add tun0 type ip6tnl mode ipip6 encaplimit none local LOCAL remote REMOTE",
		"ip6gre":    "ip link add tun0 type ip6gre encaplimit none local LOCAL remote REMOTE",
		"vxlan":     "ip link add tun0 type vxlan id 7 local LOCAL remote REMOTE dstport 4789",
		"wireguard": strings.Replace(wireguard, "REMOTE", "[REMOTE]", 1),
	},
}

const wireguard = `ip link add tun0 type wireguard
key=$(wg genkey)
echo "$key" | wg set tun0 private-key /proc/self/fd/0 peer "$(wg genkey | wg pubkey)" endpoint REMOTE:51820 allowed-ips 198.18.0.0/24`

// TestTunnels has the kernel's own tunnels, by a route of main's. What they
// send is in no class, whoever sent the packet inside, unless a match names
// what is outside; then it is classed as it leaves.
func TestTunnels(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		ownA := s.address(byA, f.service(1).Addr())
		for kind, create := range tunnels[f] {
			for _, c := range []struct {
				name    string
				local   netip.Addr
				service int
				router  int
				counted ledger
			}{
				{"unclassed", ownA, 1, byA, ledger{}},
				{"by destination", f.homeless(), 3, byC, ledger{"tuple a": repaired(misrouted(1, late))}},
				{"by destination, from an uplink's address", ownA, 3, byA, ledger{"tuple a": misrouted(1, pinned)}},
			} {
				if kind == "wireguard" && c.local != ownA {
					continue // it asks for no source
				}
				remote := f.service(c.service).Addr()
				t.Run(fmt.Sprintf("%s/%s/%s", kind, c.name, f), func(t *testing.T) {
					s.tunnel(t, strings.NewReplacer("LOCAL", c.local.String(), "REMOTE", remote.String()).Replace(create))
					for _, cgroup := range insides() {
						router, counted := c.router, c.counted
						if kind == "vxlan" && cgroup != "" && c.local != ownA {
							router, counted = byB, ledger{} // the kernel routes it by the mark of what is inside
						}
						s.account(t, counted, func() {
							s.arrives(t, remote, router, c.local, func() { s.through(t, cgroup) })
						})
						if kind == "wireguard" {
							break // it asks for an answer once
						}
					}
				})
			}
		}
	}
}

// insides are the cgroups that send into a tunnel; no class, then classes.
func insides() []string {
	if testing.Short() {
		return []string{"", "closed.slice"}
	}
	return []string{"", "app.slice", "closed.slice"}
}

// through sends a datagram into the tunnel.
func (s *site) through(t *testing.T, cgroup string) {
	t.Helper()
	job := lab.Job{Kind: lab.UDP, To: []netip.AddrPort{inTunnel}, Count: 1, Size: 16, NoReply: true, Cgroup: cgroup}
	if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
		t.Error(r.Err())
	}
}

// tunnel makes tun0 until the test ends, silent but for what is sent to it.
func (s *site) tunnel(t *testing.T, create string) {
	t.Helper()
	out, err := s.Host.Command("sh", "-ec", create).CombinedOutput()
	if strings.Contains(out, "Operation not supported") || strings.Contains(out, "Unknown device type") {
		t.Skip("the kernel has no such tunnel")
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", create, err, out)
	}
	t.Cleanup(func() { s.shell(t, "ip link del tun0") })
	s.shell(t, `echo 1 > /proc/sys/net/ipv6/conf/tun0/disable_ipv6
ip address add 198.18.0.1/24 dev tun0
ip link set tun0 up
ip neigh replace 198.18.0.2 lladdr 02:00:00:00:00:02 dev tun0 nud permanent 2>/dev/null || true`)
}

// TestTagged has a VLAN on an uplink's link, by a route of main's. What
// leaves by it is no uplink's, though it passes the uplink's interface.
func TestTagged(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	router := s.Routers[byA]
	for _, end := range []struct {
		node      *lab.Node
		iface     string
		four, six string
	}{{s.Host, "up-a", "172.31.0.1/24", "2001:db8:31::1/64"}, {router, "down", "172.31.0.2/24", "2001:db8:31::2/64"}} {
		addTag(t, end.node, end.iface)
		addAddress(t, end.node, end.iface+".10", netip.MustParsePrefix(end.four))
		addAddress(t, end.node, end.iface+".10", netip.MustParsePrefix(end.six))
	}
	must[*lab.Server](t)(router.Serve(servicePort))
	s.apply(t, traffic)
	for _, f := range ips {
		neighbour := map[ip]string{v4: "172.31.0.2", v6: "2001:db8:31::2", mapped: "172.31.0.2"}[f]
		for _, cgroup := range insides() {
			for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
				t.Run(fmt.Sprintf("%s/%s in %q", f, kind, cgroup), func(t *testing.T) {
					job := toAddress(neighbour, in(cgroup, f.job(kind, 1)))
					job.Count, job.Size = 2, 16
					s.account(t, ledger{}, func() {
						if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
							t.Error(r.Err())
						}
					})
				})
			}
		}
	}
}
