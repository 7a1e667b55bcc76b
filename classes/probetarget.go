// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

// isTarget tells whether an address may be one beyond an uplink.
func isTarget(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast()
}

func (d *decoder) target(n *node) (netip.Addr, bool) {
	text, ok := d.scalar(n, "the address of a target")
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !isTarget(a) {
		d.problem(n, fmt.Sprintf("%q is not the address of a target", text), "write an address beyond the uplink, such as 192.0.2.1: names would have to be resolved by the uplink that is in doubt")
		return a, false
	}
	return a, true
}

// portTarget reads an address and a port; with a port for those that name none.
func portTarget(usual uint16) func(*decoder, *node) (netip.AddrPort, bool) {
	return func(d *decoder, n *node) (netip.AddrPort, bool) {
		text, ok := d.scalar(n, "the address and port of a target")
		if !ok {
			return netip.AddrPort{}, false
		}
		to, err := netip.ParseAddrPort(text)
		if a, plain := netip.ParseAddr(text); plain == nil && usual != 0 {
			to, err = netip.AddrPortFrom(a, usual), nil
		}
		if err != nil || to.Port() == 0 || !isTarget(to.Addr()) {
			d.problem(n, fmt.Sprintf("%q is not the address and port of a target", text), `write it like "192.0.2.2:443" or "[2001:db8::2]:443"`)
			return to, false
		}
		return to, true
	}
}

func (d *decoder) urlTarget(n *node) (string, bool) {
	text, ok := d.scalar(n, "the URL of a target")
	if !ok {
		return "", false
	}
	u, err := url.Parse(text)
	if err == nil && u.Scheme == "https" {
		d.problem(n, fmt.Sprintf("%q asks for TLS, which probes do not speak", text), fmt.Sprintf("have its port asked: tcp: [%q]", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))))
		return "", false
	}
	to := netip.AddrPort{}
	if err == nil {
		to, err = netip.ParseAddrPort(net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")))
	}
	if err != nil || to.Port() == 0 || !isTarget(to.Addr()) || u.Scheme != "http" || u.User != nil {
		d.problem(n, fmt.Sprintf("%q is not the URL of a target", text), "write it like http://192.0.2.2/ready, with an address: names would have to be resolved by the uplink that is in doubt")
		return "", false
	}
	return text, true
}
