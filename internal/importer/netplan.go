// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// netplan is what a netplan file says of routing (netplan-yaml(5)).
type netplan struct {
	Network map[string]any `yaml:"network"`
}

type netplanDevice struct {
	Match struct {
		Name   string `yaml:"name"`
		MAC    string `yaml:"macaddress"`
		Driver any    `yaml:"driver"`
	} `yaml:"match"`
	SetName string `yaml:"set-name"`
	VRF     string `yaml:"table"` // of a VRF alone
	DHCP4   bool   `yaml:"dhcp4"`
	Lease   struct {
		Routes *bool `yaml:"use-routes"`
	} `yaml:"dhcp4-overrides"`
	Own      []any          `yaml:"addresses"` // each a text, or a mapping from it to its options
	Gateway4 string         `yaml:"gateway4"`
	Gateway6 string         `yaml:"gateway6"`
	Routes   []netplanRoute `yaml:"routes"`
	Rules    []netplanRule  `yaml:"routing-policy"`
}

type netplanRoute struct {
	To     string `yaml:"to"`
	Via    string `yaml:"via"`
	Table  string `yaml:"table"`
	Metric string `yaml:"metric"`
	Type   string `yaml:"type"`
}

type netplanRule struct {
	From     string `yaml:"from"`
	To       string `yaml:"to"`
	Table    string `yaml:"table"`
	Priority string `yaml:"priority"`
	Mark     string `yaml:"mark"`
	TOS      string `yaml:"type-of-service"`
}

// addNetplan takes the routes and rules of a netplan file.
func (c *carrier) addNetplan(f File) error {
	var n netplan
	if err := yaml.Unmarshal([]byte(f.Text), &n); err != nil {
		return fmt.Errorf("read %s: %w", f.Name, err)
	}
	for _, kind := range slices.Sorted(maps.Keys(n.Network)) {
		devices, ok := n.Network[kind].(map[string]any)
		if !ok || kind == "openvswitch" {
			continue // "version", "renderer"; what has no devices
		}
		for _, id := range slices.Sorted(maps.Keys(devices)) {
			if err := c.addNetplanDevice(f.Name, id, devices[id]); err != nil {
				return fmt.Errorf("read %s: %s: %w", f.Name, id, err)
			}
		}
	}
	return nil
}

func (c *carrier) addNetplanDevice(file, id string, body any) error {
	text, err := yaml.Marshal(body)
	if err != nil {
		return err
	}
	var d netplanDevice
	if err := yaml.Unmarshal(text, &d); err != nil {
		return err
	}
	if d.VRF != "" {
		if len(d.Routes)+len(d.Rules) > 0 {
			c.leave(file+": the routes and rules of "+id, "what is bound to a VRF stays in it: Waymark needs nothing for that")
		}
		return nil
	}
	id = d.named(id)
	for _, a := range d.Own {
		if options, ok := a.(map[string]any); ok {
			for text := range options {
				a = text
			}
		}
		c.addFileAddress(id, fmt.Sprint(a))
	}
	for _, r := range d.routes(id) {
		if err := c.addFileRoute(r); err != nil {
			return err
		}
	}
	for _, r := range d.rules() {
		if err := c.addFileRule(file, r); err != nil {
			return err
		}
	}
	return nil
}

// named is the interface's name: the device's id, unless the file says another;
// "" where it says by what else interfaces are found.
func (d *netplanDevice) named(id string) string {
	m := d.Match
	switch {
	case d.SetName != "":
		return d.SetName
	case strings.ContainsAny(m.Name, "*?["), m.Name == "" && (m.MAC != "" || m.Driver != nil):
		return ""
	case m.Name != "":
		return m.Name
	}
	return id
}

func (d *netplanDevice) routes(device string) (routes []fileRoute) {
	for _, via := range []string{d.Gateway4, d.Gateway6} {
		if via != "" {
			routes = append(routes, fileRoute{device: device, to: "default", via: via})
		}
	}
	for _, r := range d.Routes {
		routes = append(routes, fileRoute{device: device, to: r.To, via: r.Via, table: r.Table, metric: r.Metric, does: r.Type})
	}
	if d.DHCP4 && (d.Lease.Routes == nil || *d.Lease.Routes) {
		routes = append(routes, fileRoute{device: device, to: "0.0.0.0/0"})
	}
	return routes
}

func (d *netplanDevice) rules() (rules []fileRule) {
	for _, r := range d.Rules {
		rule := fileRule{from: r.From, table: r.Table, priority: r.Priority, mark: r.Mark}
		if r.To != "" && r.To != "all" {
			rule.other = append(rule.other, "to "+r.To)
		}
		if r.TOS != "" {
			rule.other = append(rule.other, "tos "+r.TOS)
		}
		rules = append(rules, rule)
	}
	return rules
}
