// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"testing"
)

func TestWaysOfAnUplinkInWords(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")
	for want, u := range map[string]Uplink{
		"via 192.0.2.1, fe80::1":               {Gateways: map[Family]netip.Addr{IPv4: four, IPv6: six}, Families: map[Family]bool{IPv4: true, IPv6: true}},
		"via 192.0.2.1, no IPv6":               {Gateways: map[Family]netip.Addr{IPv4: four}, Families: map[Family]bool{IPv4: true}},
		"via fe80::1, no IPv4":                 {Gateways: map[Family]netip.Addr{IPv6: six}, Families: map[Family]bool{IPv6: true}},
		"via 192.0.2.1, no IPv6 address":       {Gateways: map[Family]netip.Addr{IPv4: four, IPv6: six}, Families: map[Family]bool{IPv4: true}},
		"via IPv4 without a next hop, no IPv6": {Families: map[Family]bool{IPv4: true}},
		"no way out: no IPv4 address, no IPv6": {Gateways: map[Family]netip.Addr{IPv4: four}},
		"no way out":                           {},
	} {
		if got := u.ways(); got != want {
			t.Errorf("gateways %v, families %v: got %q, want %q", u.Gateways, u.Families, got, want)
		}
	}
}
