// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"waymark/internal/plan"
)

// kernelTables are the names that tables have everywhere; "" is what a file that
// names none means.
var kernelTables = map[string]uint32{"": plan.TableMain, "main": plan.TableMain, "default": plan.TableDefault, "local": plan.TableLocal}

// nameTables takes the names that a networkd.conf gives to tables
// (networkd.conf(5)). Of a name, and of a number, systemd-networkd takes the first.
func (c *carrier) nameTables(f File) {
	for _, s := range sections(f.Text) {
		if s.name != "Network" {
			continue
		}
		for _, pair := range strings.Fields(strings.Join(s.keys["RouteTable"], " ")) {
			name, number, _ := strings.Cut(pair, ":")
			n, err := strconv.ParseUint(number, 0, 32)
			taken := slices.Contains(slices.Collect(maps.Values(c.tables)), uint32(n))
			if _, named := c.tables[name]; err == nil && n != 0 && !named && !taken {
				c.tables[name] = uint32(n)
			}
		}
	}
}

// table is the number of a table, which a file may call by its name.
func (c *carrier) table(text string) (uint32, error) {
	if n, named := c.tables[text]; named {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("no networkd.conf that was read gives the table %q a number, as `RouteTable=%s:100` would; netplan takes numbers alone, and the names in /etc/iproute2 are ip(8)'s: write the number", text, text)
	}
	return uint32(n), nil
}
