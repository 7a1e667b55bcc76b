// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// NextHop is one way a route leads.
type NextHop struct {
	Gateway   netip.Addr `json:"gateway"`   // zero: the destination is on the link itself
	Interface string     `json:"interface"` //
	Weight    int        `json:"weight"`    // share in a multipath route, 1 to 255; 0 in a route with one hop
	OnLink    bool       `json:"onlink"`    // the gateway is reachable though no connected route covers it
}

// Route is one route of a table.
type Route struct {
	Family   Family       `json:"family"`
	Table    uint32       `json:"table"`
	Dst      netip.Prefix `json:"dst"`               // the family's Default() for a default route
	Hops     []NextHop    `json:"hops"`              // one, or several with weights; none of one that refuses
	Refuses  Action       `json:"refuses,omitempty"` // what it does with packets instead: Unreachable, Prohibit, Blackhole or Throw
	Source   netip.Addr   `json:"source"`            // preferred source; zero: the kernel's choice
	Metric   uint32       `json:"metric"`            // zero: the kernel's default (IPv6: 1024)
	Protocol uint8        `json:"protocol"`          // RTA_PROTOCOL: who made it
	Down     bool         `json:"down"`              // the kernel holds it dead or without carrier; never set in a plan
}

// IsDefault tells whether the route is a default route.
func (r Route) IsDefault() bool { return r.Dst.Bits() == 0 }

// LeadsBy tells whether one of its hops is by an interface.
func (r Route) LeadsBy(name string) bool {
	return slices.ContainsFunc(r.Hops, func(h NextHop) bool { return h.Interface == name })
}

// Equal tells whether two routes are the same to the kernel, whatever
// their state.
func (r Route) Equal(o Route) bool { return r.Family == o.Family && r.Args() == o.Args() }

// Args are the route's words after "ip route add", as ip(8) takes them.
func (r Route) Args() string {
	words := []string{prefixText(r.Dst)}
	if r.IsDefault() {
		words[0] = "default"
	}
	if r.Refuses != "" {
		words = append([]string{string(r.Refuses)}, words...)
	}
	for _, h := range r.Hops {
		if len(r.Hops) > 1 {
			words = append(words, "nexthop")
		}
		words = append(words, h.words()...)
	}
	if r.Source.IsValid() {
		words = append(words, "src", r.Source.String())
	}
	if r.Metric != 0 {
		words = append(words, "metric", fmt.Sprint(r.Metric))
	}
	words = append(words, "table", TableName(r.Table), "protocol", fmt.Sprint(r.Protocol))
	return strings.Join(words, " ")
}

// String is the command that would add the route.
func (r Route) String() string {
	return fmt.Sprintf("ip %s route add %s", r.Family.Option(), r.Args())
}

func (h NextHop) words() []string {
	var w []string
	if h.Gateway.IsValid() {
		w = append(w, "via", h.Gateway.String())
	}
	w = append(w, "dev", h.Interface)
	if h.Weight > 0 {
		w = append(w, "weight", fmt.Sprint(h.Weight))
	}
	if h.OnLink {
		w = append(w, "onlink")
	}
	return w
}
