// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"
)

func (p *Plan) printUplinks(out *printer) {
	out.section("uplinks")
	for _, u := range p.Uplinks {
		state := "up"
		if !u.Up {
			state = "down"
		}
		out.line("# %s\t%s\t%s\t%s\ttable %d", u.Name, u.Interface, state, u.ways(), u.Table)
	}
}

// ways says by which next hops an uplink leads out, and after them the
// families in which it does not, for "via" must be followed by a way.
func (u *Uplink) ways() string {
	var hops, lacks []string
	for _, f := range Families {
		switch gateway := u.Gateways[f]; {
		case gateway.IsValid() && !u.Families[f]:
			lacks = append(lacks, "no "+f.String()+" address")
		case gateway.IsValid():
			hops = append(hops, gateway.String())
		case u.Families[f]:
			hops = append(hops, f.String()+" without a next hop")
		default:
			lacks = append(lacks, "no "+f.String())
		}
	}
	switch {
	case len(hops) > 0:
		return "via " + strings.Join(slices.Concat(hops, lacks), ", ")
	case u.Gateways[IPv4].IsValid() || u.Gateways[IPv6].IsValid():
		return "no way out: " + strings.Join(lacks, ", ")
	default:
		return "no way out"
	}
}
