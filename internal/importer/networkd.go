// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// addNetwork takes the routes and rules of a *.network file, drop-ins of which
// stand behind it.
func (c *carrier) addNetwork(f File) error {
	device, all := "", sections(f.Text)
	for _, s := range all {
		var err error
		switch s.name {
		case "Match":
			if device = strings.Join(s.keys["Name"], " "); c.isOthers(f.Name, device, s) {
				return nil
			}
		case "Network":
			err = c.addNetworkSection(device, s, lease(all))
		case "IPv6AcceptRA":
			err = c.addAdvertised(device, s, all)
		case "Address":
			c.addFileAddress(device, s.value("Address"))
		case "Route":
			err = c.addNetworkRoute(device, s)
		case "RoutingPolicyRule":
			err = c.addFileRule(f.Name, s.policyRule())
		}
		if err != nil {
			return fmt.Errorf("read %s: [%s]: %w", f.Name, s.name, err)
		}
	}
	return nil
}

// isOthers tells whether an earlier file is for the interface of this one: then
// systemd-networkd reads nothing here. One that is for some of several, or asks for
// more than a name, says nothing of those that come behind it.
func (c *carrier) isOthers(file, device string, match section) bool {
	for _, earlier := range c.matched {
		for _, pattern := range strings.Fields(earlier.names) {
			if is, err := path.Match(pattern, device); is && err == nil {
				c.leave(file, "systemd-networkd reads one file for "+device+", and that is "+earlier.file)
				return true
			}
		}
	}
	if len(match.keys) == 1 {
		c.matched = append(c.matched, matched{device, file})
	}
	return false
}

// matched is a *.network file, and whose it is by name alone.
type matched struct{ names, file string }

// addNetworkRoute takes a [Route].
func (c *carrier) addNetworkRoute(device string, s section) error {
	r := fileRoute{device: device, to: s.or("Destination", "default"), via: s.value("Gateway"), table: s.or("Table", "main"), metric: s.value("Metric"), does: s.value("Type")}
	if v6, err := netip.ParseAddr(s.value("Gateway")); err == nil && v6.Is6() && s.value("Destination") == "" {
		r.to = "::/0"
	}
	for _, hop := range s.keys["MultiPathRoute"] { // GATEWAY[@DEVICE] [WEIGHT]
		words := strings.Fields(hop)
		if len(words) == 0 {
			continue
		}
		via, by, _ := strings.Cut(words[0], "@")
		h := fileHop{device: cmp.Or(by, device), via: via, weight: 1}
		if len(words) > 1 {
			h.weight, _ = strconv.Atoi(words[1])
		}
		r.hops = append(r.hops, h)
	}
	return c.addFileRoute(r)
}

// lease is the routing table of what DHCP tells; "" if routes are not taken
// from there.
func lease(all []section) string {
	table := "main"
	for _, s := range all {
		if s.name != "DHCPv4" && s.name != "DHCP" {
			continue
		}
		if isNo(s.value("UseRoutes")) || isNo(s.value("UseGateway")) {
			return ""
		}
		table = s.or("RouteTable", table)
	}
	return table
}

// addAdvertised takes the default route that routers advertise, where a table of its
// own is named for it: what is in main is found there.
func (c *carrier) addAdvertised(device string, s section, all []section) error {
	refused := slices.ContainsFunc(all, func(n section) bool { return n.name == "Network" && isNo(n.value("IPv6AcceptRA")) })
	if table := s.value("RouteTable"); table != "" && !refused && !isNo(s.value("UseGateway")) {
		return c.addFileRoute(fileRoute{device: device, to: "::/0", table: table})
	}
	return nil
}

// addNetworkSection takes what [Network] says of default routes.
func (c *carrier) addNetworkSection(device string, s section, lease string) error {
	for _, a := range s.keys["Address"] {
		c.addFileAddress(device, a)
	}
	for _, g := range s.keys["Gateway"] {
		if err := c.addFileRoute(fileRoute{device: device, to: "default", via: g, table: "main"}); err != nil {
			return err
		}
	}
	if dhcp := strings.ToLower(s.value("DHCP")); lease != "" && len(s.keys["Gateway"]) == 0 && (dhcp == "ipv4" || isYes(dhcp)) {
		return c.addFileRoute(fileRoute{device: device, to: "0.0.0.0/0", table: lease})
	}
	return nil
}

func isYes(text string) bool {
	return slices.Contains([]string{"yes", "y", "true", "t", "on", "1"}, strings.ToLower(text))
}

func isNo(text string) bool {
	return slices.Contains([]string{"no", "n", "false", "f", "off", "0"}, strings.ToLower(text))
}

// ruleWords are the keys of a [RoutingPolicyRule] that select, in words of ip(8).
var ruleWords = []struct{ key, word string }{
	{"To", "to"}, {"IncomingInterface", "iif"}, {"User", "uidrange"}, {"IPProtocol", "ipproto"}, {"SourcePort", "sport"}, {"DestinationPort", "dport"},
	{"TypeOfService", "tos"}, {"OutgoingInterface", "oif"}, {"SuppressInterfaceGroup", "suppress_ifgroup"},
}

// policyRule are the words of ip(8) for a [RoutingPolicyRule]; a key that is not
// known stands among them as it is.
func (s section) policyRule() fileRule {
	r := fileRule{from: s.value("From"), table: s.value("Table"), priority: s.value("Priority"), mark: s.value("FirewallMark"), family: s.value("Family"),
		does: s.value("Type"), suppress: s.value("SuppressPrefixLength")}
	known := []string{"From", "Table", "Priority", "FirewallMark", "Family", "Type", "SuppressPrefixLength", "InvertRule", "L3MasterDevice", "GoTo"}
	for _, k := range ruleWords {
		known = append(known, k.key)
		if v := s.value(k.key); v != "" {
			r.other = append(r.other, k.word+" "+v)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		if !slices.Contains(known, key) {
			r.other = append(r.other, key+" "+s.value(key))
		}
	}
	if isYes(s.value("InvertRule")) {
		r.other = append([]string{"not"}, r.other...)
	}
	if r.suppress != "" && r.suppress != "0" {
		r.other = append(r.other, "suppress_prefixlength "+r.suppress)
	}
	if isYes(s.value("L3MasterDevice")) {
		r.does = "l3mdev"
	}
	if to := s.value("GoTo"); to != "" {
		r.does = "goto " + to
	}
	return r
}
