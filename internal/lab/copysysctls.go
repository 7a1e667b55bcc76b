// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// copied are the sysctls of routing, of the whole host and of each interface.
// Forwarding comes first: it changes others.
var copied = []string{"net/ipv4/ip_forward", "net/ipv4/fwmark_reflect", "net/ipv4/tcp_fwmark_accept", "net/ipv4/fib_multipath_hash_policy",
	"net/ipv6/fwmark_reflect", "net/ipv6/fib_multipath_hash_policy", "net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"}

var copiedEach = []string{"ipv4/conf/%s/forwarding", "ipv4/conf/%s/rp_filter", "ipv4/conf/%s/src_valid_mark", "ipv4/conf/%s/ignore_routes_with_linkdown",
	"ipv6/conf/%s/forwarding", "ipv6/conf/%s/disable_ipv6", "ipv6/conf/%s/ignore_routes_with_linkdown"}

// copySysctls copies those that the kernel has.
func (c *Copy) copySysctls() error {
	names := slices.Clone(copied)
	interfaces := []string{"all", "default"}
	for _, name := range c.names {
		interfaces = append(interfaces, name)
	}
	for _, name := range interfaces {
		for _, sysctl := range copiedEach {
			names = append(names, filepath.Join("net", fmt.Sprintf(sysctl, name)))
		}
	}
	var values []sysctl
	for _, name := range names {
		if value, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			values = append(values, sysctl{name, string(bytes.TrimSpace(value))})
		}
	}
	return c.Host.writeSysctls(values)
}
