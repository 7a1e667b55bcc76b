// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// On uplink a's line is a second one, with a station address of its own, and
// a machine that is the host's guest there.
const aboveUplink = `
ip link add up-m link up-a type macvlan mode bridge
ip address add 10.0.7.2/24 dev up-m
ip address add 2001:db8:7::2/64 dev up-m nodad
ip link set up-m up
ip link add guest link up-a type macvlan mode bridge
ip link set guest netns LAN
`

const onTheLine = `
ip address add ADDRESS4/24 dev guest
ip address add ADDRESS6/64 dev guest nodad
ip link set guest up
ip route add 203.0.113.0/24 via 10.0.1.1 dev guest
ip route add 2001:db8:f::/64 via 2001:db8:1::1 dev guest
`

const abovePolicy = twoUplinks + `
  - {name: m, interface: up-m, gateway: [10.0.7.1, "2001:db8:7::1"]}
classes:
  - {name: tuple, route: [m], match: [{dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: group, route: [m], otherwise: unreachable, match: [{cgroup: app.slice}]}
  - {name: other, route: [b], match: [{dst: [203.0.113.2, "2001:db8:f::2"]}]}
`

// TestAbove has packets leave by an interface above an uplink: an uplink of
// its own, or that of somebody else's machine. They pass the uplink below,
// where nothing more is decided of them.
func TestAbove(t *testing.T) {
	s := newTraffic(t, lab.Options{LAN: true})
	s.shell(t, strings.ReplaceAll(aboveUplink, "LAN", s.LAN.NetnsPath()))
	guest := map[ip]netip.Addr{v4: netip.MustParseAddr("10.0.1.50"), v6: netip.MustParseAddr("2001:db8:1::50")}
	own := map[ip]netip.Addr{v4: netip.MustParseAddr("10.0.7.2"), v6: netip.MustParseAddr("2001:db8:7::2")}
	must[string](t)(s.LAN.Command("sh", "-ec", strings.NewReplacer("ADDRESS4", guest[v4].String(), "ADDRESS6", guest[v6].String()).Replace(onTheLine)).Output())
	for _, a := range []string{"10.0.7.1/24", "2001:db8:7::1/64"} {
		addAddress(t, s.Routers[byA], "down", netip.MustParsePrefix(a))
	}
	s.apply(t, abovePolicy)
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.UDP, lab.SendTo} {
			t.Run(fmt.Sprintf("an uplink above another/%s/%s", kind, f), func(t *testing.T) {
				job := lab.Job{Kind: kind, To: []netip.AddrPort{f.service(1)}, NoReply: true, Count: 1, Size: 16}
				s.account(t, ledger{}, func() {
					s.arrives(t, f.service(1).Addr(), byA, own[f], func() { s.sendOnly(t, in("app.slice", job)) })
				})
			})
		}
		t.Run("repaired from the one below/"+string(f), func(t *testing.T) {
			s.account(t, ledger{"tuple a": repaired(misrouted(1, late))}, func() {
				s.arrives(t, f.service(3).Addr(), byA, f.homeless(), func() {
					s.work(t, "", "be-a-raw-one", f.homeless().String(), f.service(3).Addr().String())
				})
			})
		})
		t.Run("a guest's/"+string(f), func(t *testing.T) {
			s.account(t, ledger{}, func() {
				s.arrives(t, f.service(2).Addr(), byA, guest[f], func() {
					must[string](t)(s.LAN.Command("/proc/self/exe", "be-a-raw-one", guest[f].String(), f.service(2).Addr().String()).Output())
				})
			})
		})
	}
}
