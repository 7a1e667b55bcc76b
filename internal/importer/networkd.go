// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"strings"
)

// section is one of a file of systemd-networkd (systemd.network(5)).
type section struct {
	name string
	keys map[string][]string
}

// addNetwork takes the routes and rules of a *.network file.
func (c *carrier) addNetwork(f File) error {
	device, all := "", sections(f.Text)
	for _, s := range all {
		var err error
		switch s.name {
		case "Match":
			device = s.value("Name")
		case "Network":
			err = c.addNetworkSection(device, s, leaseTable(all))
		case "Address":
			c.addFileAddress(device, s.value("Address"))
		case "Route":
			err = c.addFileRoute(fileRoute{device, s.or("Destination", "default"), s.value("Gateway"), s.or("Table", "main"), s.value("Metric")})
		case "RoutingPolicyRule":
			err = c.addFileRule(f.Name, s.policyRule())
		}
		if err != nil {
			return fmt.Errorf("read %s: [%s]: %w", f.Name, s.name, err)
		}
	}
	return nil
}

// leaseTable is the routing table of what DHCP tells.
func leaseTable(all []section) string {
	for _, s := range all {
		if s.name == "DHCPv4" || s.name == "DHCP" {
			return s.or("RouteTable", "main")
		}
	}
	return "main"
}

// addNetworkSection takes what [Network] says of default routes.
func (c *carrier) addNetworkSection(device string, s section, lease string) error {
	for _, a := range s.keys["Address"] {
		c.addFileAddress(device, a)
	}
	for _, g := range s.keys["Gateway"] {
		if err := c.addFileRoute(fileRoute{device, "default", g, "main", ""}); err != nil {
			return err
		}
	}
	if dhcp := strings.ToLower(s.value("DHCP")); len(s.keys["Gateway"]) == 0 && (dhcp == "yes" || dhcp == "ipv4" || dhcp == "true") {
		return c.addFileRoute(fileRoute{device, "0.0.0.0/0", "", lease, ""})
	}
	return nil
}

// policyRule are the words of ip(8) for a [RoutingPolicyRule].
func (s section) policyRule() fileRule {
	r := fileRule{from: s.value("From"), table: s.value("Table"), priority: s.value("Priority"), mark: s.value("FirewallMark"), family: s.value("Family"),
		does: s.value("Type"), suppress: s.value("SuppressPrefixLength")}
	for _, k := range []struct{ key, word string }{
		{"To", "to"}, {"IncomingInterface", "iif"}, {"User", "uidrange"}, {"IPProtocol", "ipproto"},
		{"SourcePort", "sport"}, {"DestinationPort", "dport"}, {"TypeOfService", "tos"}, {"OutgoingInterface", "oif"},
	} {
		if v := s.value(k.key); v != "" {
			r.other = append(r.other, k.word+" "+v)
		}
	}
	if v := strings.ToLower(s.value("InvertRule")); v == "yes" || v == "true" || v == "1" {
		r.other = append([]string{"not"}, r.other...)
	}
	if r.suppress != "" && r.suppress != "0" {
		r.other = append(r.other, "suppress_prefixlength "+r.suppress)
	}
	return r
}

func sections(text string) (all []section) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, isKey := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "#"), strings.HasPrefix(line, ";"):
		case strings.HasPrefix(line, "["):
			all = append(all, section{strings.Trim(line, "[]"), map[string][]string{}})
		case isKey && len(all) > 0:
			keys := all[len(all)-1].keys
			key = strings.TrimSpace(key)
			keys[key] = append(keys[key], strings.TrimSpace(value))
		}
	}
	return all
}

func (s section) value(key string) string {
	if v := s.keys[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (s section) or(key, standard string) string {
	if v := s.value(key); v != "" {
		return v
	}
	return standard
}
