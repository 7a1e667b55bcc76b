// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// hosts are the hosts that the policies testdata/*.yaml are planned for, by
// the policy's name.
var hosts = map[string]func() *host{
	"design": exampleHost,
	"ipv4-only": func() *host {
		h := newHost()
		h.link("eth0", "192.0.2.10/24")
		h.link("eth1", "198.51.100.7/31")
		h.route("eth0", "192.0.2.1", 0)
		h.route("eth1", "198.51.100.6", 50)
		return h
	},
	"absent": func() *host {
		h := newHost()
		h.link("eth0", "192.0.2.10/24", "2001:db8:1::10/64")
		h.link("eth1", "198.51.100.7/24")
		h.route("eth0", "192.0.2.1", 0)
		return h
	},
	"point-to-point": func() *host {
		h := newHost()
		h.link("ppp0", "203.0.113.77/32")
		h.link("wg0", "10.9.0.2/24", "2001:db8:9::2/64")
		h.link("tun0", "10.8.0.2/24")
		h.change("ppp0", func(l *Link) { l.PointToPoint = true })
		h.change("wg0", func(l *Link) { l.PointToPoint = true })
		h.route("ppp0", "", 0)
		return h
	},
	"forwards": func() *host {
		h := forwardingHost()
		h.link("eth2", "10.0.3.2/24")
		h.link("eth4", "192.168.1.1/24")
		return h
	},
	"balance":   twoUplinks,
	"strict":    twoUplinks,
	"otherwise": twoUplinks,
	"source":    twoUplinks,
	"one-prefix": func() *host {
		h := newHost()
		h.link("eth0", "2001:db8:1::2/64", "2001:db8:1::3/64", "2001:db8:7::2/64")
		h.link("eth1", "2001:db8:1::4/64", "2001:db8:8::4/56")
		h.route("eth0", "fe80::1", 100)
		h.route("eth1", "fe80::2", 200)
		return h
	},
	"down": func() *host {
		h := twoUplinks()
		h.change("eth1", func(l *Link) { l.Up, l.Carrier, l.Addresses = false, false, l.Addresses[:1] })
		h.Routes = h.Routes[:2] // the kernel has taken those of the link, and their addresses' in IPv6
		h.route("eth0", "10.0.1.1", 100)
		h.route("eth0", "2001:db8:1::1", 100)
		return h
	},
	"preferred": func() *host {
		h := newHost()
		h.link("eth0", "10.0.1.2/24", "10.0.1.9/24", "172.16.0.2/16", "2001:db8:1::2/64", "2001:db8:1::9/64")
		h.route("eth0", "10.0.1.1", 0).Source = netip.MustParseAddr("10.0.1.9")
		h.route("eth0", "fe80::1", 0).Source = netip.MustParseAddr("2001:db8:1::9")
		h.link("eth1", "10.0.2.2/24")
		twice := h.Routes[len(h.Routes)-1] // as NetworkManager writes it beside the kernel's own
		twice.Metric, twice.Source = 100, netip.Addr{}
		h.Routes = append(h.Routes, twice)
		return h
	},
	"rp-filter": func() *host {
		h := twoUplinks()
		h.link("eth2", "10.0.3.2/24")
		h.Sysctls["net/ipv4/conf/all/rp_filter"] = "1"
		h.Sysctls[rpFilter("eth1")] = "2"
		delete(h.Sysctls, linkdown("ipv6", "eth1")) // IPv6 is switched off there
		h.Sysctls[rpFilter("eth2")] = "2"           // but by the last plan
		h.Changed = []string{rpFilter("eth2")}
		h.change("eth2", func(l *Link) { l.Leased = true })
		h.Advertised = true
		return h
	},
}

// remembered is what a host knows of its last plan.
var remembered = map[string]Numbers{
	"down": {Gateways: map[string]map[Family]netip.Addr{"eth1": {IPv4: netip.MustParseAddr("10.0.2.1")}}},
}

// TestGolden plans every policy in testdata for its host, and compares the
// text that an administrator reads.
func TestGolden(t *testing.T) {
	policies, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(policies) != len(hosts) {
		t.Errorf("%d policies and %d hosts: each needs the other", len(policies), len(hosts))
	}
	for name, host := range hosts {
		t.Run(name, func(t *testing.T) {
			policy, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := host().make(t, string(policy), remembered[name]).Print(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name+".golden"), text.Bytes())
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
