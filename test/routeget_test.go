// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
	"waymark/loader"
)

// wayOut is where a packet goes, by whoever was asked.
type wayOut struct{ Interface, Gateway, Source string }

// TestExplainAgreesWithTheKernel asks explain and `ip route get` the same,
// for every address that a socket can be bound to.
func TestExplainAgreesWithTheKernel(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3, LAN: true, Container: true, Forward: true})
	s.cgroups(t, "app.slice")
	s.apply(t, bySource+`
  - {name: tuple, route: [b], match: [{dst: [203.0.113.3, "2001:db8:f::3"], proto: udp, dport: 53}]}
`)
	for _, f := range []ip{v4, v6} {
		sources := []netip.Addr{{}, f.lan()}
		for uplink := range 3 {
			sources = append(sources, s.address(uplink, f.service(1).Addr()))
		}
		destinations := []netip.Addr{f.service(1).Addr(), f.service(3).Addr(), f.behind(s)}
		for uplink := range 3 {
			destinations = append(destinations, f.gateway(s.Uplink(uplink)))
		}
		for _, src := range sources {
			for _, dst := range destinations {
				for _, who := range [][]string{nil, {"--cgroup", "app.slice/x"}, {"--proto", "udp", "--dport", "53"}} {
					t.Run(fmt.Sprintf("%s from %q %v", dst, text(src), who), func(t *testing.T) {
						s.agrees(t, src, dst, who)
					})
				}
			}
		}
	}
}

func (s *site) agrees(t *testing.T, src, dst netip.Addr, who []string) {
	t.Helper()
	args := append([]string{"explain", "-o", "json", "--dst", dst.String()}, who...)
	if src.IsValid() {
		args = append(args, "--src", src.String())
	}
	x := item[loader.Explanation](t, s.ok(t, append(args, "--cgroup-root", s.CgroupRoot())...))
	if len(x.Ways) != 1 {
		t.Fatalf("%d ways, want one", len(x.Ways))
	}
	way := x.Ways[0]
	if len(way.Differs) > 0 {
		t.Errorf("explain says it differs from the kernel: %v", way.Differs)
	}
	ours := wayOut{Interface: way.Verdict.Interface, Gateway: text(way.Verdict.Gateway), Source: text(way.Verdict.Source)}
	kernel := s.routeGet(t, src, dst, x.Mark)
	if ours.Source == "" { // explain leaves it to the kernel
		kernel.Source = ""
	}
	if diff := cmp.Diff(kernel, ours); diff != "" {
		t.Errorf("explain is not what ip route get says (-ip +explain):\n%s", diff)
	}
}

// routeGet is the kernel's word, by ip(8).
func (s *site) routeGet(t *testing.T, src, dst netip.Addr, mark uint32) wayOut {
	t.Helper()
	args := []string{"-j", "route", "get", dst.String(), "mark", fmt.Sprint(mark)}
	if src.IsValid() {
		args = append(args, "from", src.String())
	}
	out := must[string](t)(s.Host.Command("ip", args...).Output())
	var routes []struct{ Dev, Gateway, PrefSrc string }
	if err := json.Unmarshal([]byte(out), &routes); err != nil || len(routes) != 1 {
		t.Fatalf("ip route get: %v in %s", err, out)
	}
	way := wayOut{routes[0].Dev, routes[0].Gateway, routes[0].PrefSrc}
	if src.IsValid() {
		way.Source = src.String()
	}
	return way
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// behind is the container's address.
func (f ip) behind(s *site) netip.Addr {
	if f == v6 {
		return netip.MustParseAddr("2001:db8:30::2")
	}
	return netip.MustParseAddr("172.30.0.2")
}

// gateway is the router's address on an uplink.
func (f ip) gateway(u lab.Uplink) netip.Addr {
	if f == v6 {
		return u.Gateway6
	}
	return u.Gateway4
}
