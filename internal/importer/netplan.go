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
		Name string `yaml:"name"`
	} `yaml:"match"`
	SetName  string         `yaml:"set-name"`
	DHCP4    bool           `yaml:"dhcp4"`
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
}

type netplanRule struct {
	From     string `yaml:"from"`
	To       string `yaml:"to"`
	Table    string `yaml:"table"`
	Priority string `yaml:"priority"`
	Mark     string `yaml:"mark"`
	TOS      string `yaml:"type-of-service"`
}

// addFile takes a file by its kind.
func (c *carrier) addFile(f File) error {
	if strings.HasSuffix(f.Name, ".network") {
		return c.addNetwork(f)
	}
	return c.addNetplan(f)
}

// addNetplan takes the routes and rules of a netplan file.
func (c *carrier) addNetplan(f File) error {
	var n netplan
	if err := yaml.Unmarshal([]byte(f.Text), &n); err != nil {
		return fmt.Errorf("read %s: %w", f.Name, err)
	}
	for _, kind := range slices.Sorted(maps.Keys(n.Network)) {
		devices, ok := n.Network[kind].(map[string]any)
		if !ok {
			continue // "version", "renderer"
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

// named is the interface's name: the device's id, unless the file says another.
func (d *netplanDevice) named(id string) string {
	for _, name := range []string{d.Match.Name, d.SetName} {
		if name != "" && !strings.ContainsAny(name, "*?[") {
			id = name
		}
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
		routes = append(routes, fileRoute{device, r.To, r.Via, r.Table, r.Metric})
	}
	if d.DHCP4 {
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
