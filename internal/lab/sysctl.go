// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sysctl is one name and the value it is to have.
type sysctl struct{ name, value string }

// baseSysctls are written in every node before it has links. They hush what
// IPv6 says on its own, and undo what a namespace inherits from the machine.
var baseSysctls = []sysctl{
	{"net.ipv4.conf.all.rp_filter", "0"},
	{"net.ipv4.conf.default.rp_filter", "0"},
	{"net.ipv4.conf.lo.rp_filter", "0"},
	{"net.ipv4.conf.all.send_redirects", "0"},
	{"net.ipv4.conf.default.send_redirects", "0"},
	{"net.ipv4.ping_group_range", "0 2147483647"},
	{"net.ipv6.conf.all.disable_ipv6", "0"},
	{"net.ipv6.conf.default.disable_ipv6", "0"},
	{"net.ipv6.conf.lo.disable_ipv6", "0"},
	{"net.ipv6.conf.all.accept_ra", "0"},
	{"net.ipv6.conf.default.accept_ra", "0"},
	{"net.ipv6.conf.default.router_solicitations", "0"},
	{"net.ipv6.conf.default.autoconf", "0"},
	{"net.ipv6.conf.default.accept_dad", "0"},
	{"net.ipv6.conf.default.dad_transmits", "0"},
	{"net.ipv6.conf.default.addr_gen_mode", "1"}, // no link-local but ours
	// Multicast reports cannot be switched off. Let them be over at once, and of
	// version 1, whose end /proc shows.
	{"net.ipv6.conf.default.force_mld_version", "1"},
	{"net.ipv6.conf.default.mldv1_unsolicited_report_interval", "1"},
}

var forwardSysctls = []sysctl{
	{"net.ipv4.ip_forward", "1"},
	{"net.ipv6.conf.all.forwarding", "1"},
}

func rpFilterSysctls(value int) []sysctl {
	v := fmt.Sprint(value)
	return []sysctl{{"net.ipv4.conf.all.rp_filter", v}, {"net.ipv4.conf.default.rp_filter", v}}
}

// sysctlPath accepts dots, or slashes where a component itself has dots.
func sysctlPath(name string) string {
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, ".", "/")
	}
	return filepath.Join("/proc/sys", name)
}

// Sysctl writes a sysctl of the node's namespace, named as sysctl(8) does:
// "net.ipv4.conf.up-a.rp_filter", or with slashes.
func (n *Node) Sysctl(name, value string) error {
	return n.writeSysctls([]sysctl{{name, value}})
}

// ReadSysctl returns a sysctl of the node's namespace, without the line end.
func (n *Node) ReadSysctl(name string) (value string, err error) {
	err = n.Do(func() error {
		text, err := os.ReadFile(sysctlPath(name))
		value = strings.TrimSpace(string(text))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read sysctl %s in %s: %w", name, n.Name, err)
	}
	return value, nil
}

func (n *Node) writeSysctls(list []sysctl) error {
	return n.Do(func() error {
		for _, s := range list {
			if err := os.WriteFile(sysctlPath(s.name), []byte(s.value), 0); err != nil {
				return fmt.Errorf("write sysctl %s in %s: %w", s.name, n.Name, err)
			}
		}
		return nil
	})
}
