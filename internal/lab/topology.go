// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// An Uplink is one way out of the host.
type Uplink struct {
	Name      string       // "a", "b", ...
	Interface string       // on the host: "up-a", "up-b", ...
	Address4  netip.Addr   // the host's: 10.0.1.2, 10.0.2.2, ...
	Address6  netip.Addr   // the host's: 2001:db8:1::2, ...
	Prefix4   netip.Prefix // the link's /24
	Prefix6   netip.Prefix // the link's /64
	Gateway4  netip.Addr   // the router's: 10.0.1.1, ...
	Gateway6  netip.Addr   // the router's: 2001:db8:1::1, ...
	LinkLocal netip.Addr   // the router's: fe80::1 on every uplink
	Router    *Node        // its interfaces are "down", to the host, and "up", to far
}

// Services is how many addresses of each family the far server has.
const Services = 4

// Service4 is the far server's IPv4 address number i, 1 to Services.
func Service4(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }

// Service6 is the far server's IPv6 address number i, 1 to Services.
func Service6(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:f::%d", i)) }

var (
	any4       = netip.MustParsePrefix("0.0.0.0/0")
	any6       = netip.MustParsePrefix("::/0")
	lan4       = netip.MustParsePrefix("192.168.50.0/24")
	lan6       = netip.MustParsePrefix("2001:db8:50::/64")
	container4 = netip.MustParsePrefix("172.30.0.0/24")
	container6 = netip.MustParsePrefix("2001:db8:30::/64")
	local6     = netip.MustParsePrefix("fe80::/64")
)

// at is address number i of a prefix, i in its written form (192.168.50.100,
// 2001:db8:50::100), with the prefix's length.
func at(p netip.Prefix, i int) netip.Prefix {
	a := netip.MustParseAddr(strings.TrimSuffix(p.Addr().String(), "0") + strconv.Itoa(i))
	return netip.PrefixFrom(a, p.Bits())
}

// Uplink returns uplink number i, from 0.
func (l *Lab) Uplink(i int) Uplink { return l.uplinks[i] }

func (l *Lab) build() (err error) {
	if l.cgroups, err = newCgroupTree(); err != nil {
		return err
	}
	if l.Host, err = l.newNode("host"); err != nil {
		return err
	}
	if l.Far, err = l.newNode("far"); err != nil {
		return err
	}
	if err := l.Host.writeSysctls(rpFilterSysctls(l.options.RPFilter)); err != nil {
		return err
	}
	for i := range l.options.Uplinks {
		if err := l.addUplink(i); err != nil {
			return err
		}
	}
	if err := l.addBehindHost(); err != nil {
		return err
	}
	l.addServices()
	return l.settle()
}

// addUplink adds router i between the host and far.
func (l *Lab) addUplink(i int) error {
	u := l.newUplink(i)
	router, err := l.newNode("router-" + u.Name)
	if err != nil {
		return err
	}
	u.Router = router
	l.Routers = append(l.Routers, router)
	l.uplinks = append(l.uplinks, u)
	if err := router.writeSysctls(forwardSysctls); err != nil {
		return err
	}
	down := end{node: router, name: "down", index: l.index(i), number: 1}
	down.routes = l.inside(u.Address4, u.Address6)
	uplink := end{node: l.Host, name: u.Interface, number: 2}
	if l.options.AllDefaults || i == 0 {
		uplink.routes = defaults(u.Gateway4, u.Gateway6, 100*(i+1))
	}
	if err := l.connect(down, uplink, []netip.Prefix{u.Prefix4, u.Prefix6, local6}); err != nil {
		return err
	}
	return l.connectFar(i)
}

func (l *Lab) newUplink(i int) Uplink {
	name := string(rune('a' + i))
	p4 := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 0}), 24)
	p6 := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d::/64", i+1))
	return Uplink{
		Name: name, Interface: "up-" + name, Prefix4: p4, Prefix6: p6,
		Address4: at(p4, 2).Addr(), Address6: at(p6, 2).Addr(),
		Gateway4: at(p4, 1).Addr(), Gateway6: at(p6, 1).Addr(), LinkLocal: at(local6, 1).Addr(),
	}
}

// index is the router's interface index on uplink i. The kernel takes a veth
// whose two ends have one index for a plain card, and defers its carrier events
// by up to a second, or until someone asks for that one link's state.
func (l *Lab) index(i int) int {
	if l.options.SlowCarrier {
		return 2 + i // what the host's end gets
	}
	return 101 + i
}

// inside is the way to what lies behind the host, by the host's addresses.
func (l *Lab) inside(via4, via6 netip.Addr) (routes []route) {
	if l.options.LAN {
		routes = append(routes, route{to: lan4, via: via4}, route{to: lan6, via: via6})
	}
	if l.options.Container {
		routes = append(routes, route{to: container4, via: via4}, route{to: container6, via: via6})
	}
	return routes
}

// connectFar connects router i and far, with far's way back to the uplink.
func (l *Lab) connectFar(i int) error {
	u := l.uplinks[i]
	p4 := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i + 1), 0}), 24)
	p6 := netip.MustParsePrefix(fmt.Sprintf("2001:db8:1:%d::/64", i+1))
	router4, router6 := at(p4, 1).Addr(), at(p6, 1).Addr()
	back := []route{{to: u.Prefix4, via: router4}, {to: u.Prefix6, via: router6}}
	if i == 0 {
		back = append(back, l.inside(router4, router6)...)
	}
	return l.connect(
		end{node: l.Far, name: "to-" + u.Name, index: 101 + i, number: 2, routes: back},
		end{node: u.Router, name: "up", number: 1, routes: defaults(at(p4, 2).Addr(), at(p6, 2).Addr(), 0)},
		[]netip.Prefix{p4, p6, local6})
}

func defaults(via4, via6 netip.Addr, metric int) []route {
	return []route{{any4, via4, metric}, {any6, via6, metric}}
}

// addBehindHost adds what the options want behind the host.
func (l *Lab) addBehindHost() (err error) {
	if l.options.Forward {
		if err := l.Host.writeSysctls(forwardSysctls); err != nil {
			return err
		}
	}
	if l.options.LAN {
		if l.LAN, err = l.addClient("lan", "lan0", "br-lan", 100, lan4, lan6); err != nil {
			return err
		}
	}
	if l.options.Container {
		l.Container, err = l.addClient("container", "ctr0", "", 2, container4, container6)
	}
	return err
}

func (l *Lab) addClient(name, iface, bridge string, number int, p4, p6 netip.Prefix) (*Node, error) {
	n, err := l.newNode(name)
	if err != nil {
		return nil, err
	}
	way := defaults(at(p4, 1).Addr(), at(p6, 1).Addr(), 0)
	return n, l.connect(
		end{node: n, name: "eth0", index: 101, number: number, routes: way},
		end{node: l.Host, name: iface, bridge: bridge, number: 1},
		[]netip.Prefix{p4, p6, local6})
}

func (l *Lab) addServices() {
	lo := l.Far.ports["lo"]
	for i := range Services {
		lo.addresses = append(lo.addresses,
			netip.PrefixFrom(Service4(i+1), 32), netip.PrefixFrom(Service6(i+1), 128))
	}
}
