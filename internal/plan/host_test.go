// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
	"testing"

	"waymark/classes"
)

// host builds Facts as internal/host and internal/rpdb would gather them.
type host struct {
	Facts
}

// newHost is a host with lo, the kernel's own rules and no uplinks.
func newHost() *host {
	h := &host{Facts{
		Links: map[string]Link{}, Inner: map[string]Inner{}, Users: map[string]uint32{}, Arms: true, Traces: map[string]bool{"dropped": true, "departs": true},
		Sysctls: map[string]string{"net/ipv4/conf/all/rp_filter": "0", loForwarding("ipv4"): "0", loForwarding("ipv6"): "0", hashPolicies[0]: "0", hashPolicies[1]: "0"},
	}}
	for _, f := range Families {
		h.Rules = append(h.Rules, kernelRule(f, 0, TableLocal), kernelRule(f, 32766, TableMain))
		if f == IPv4 {
			h.Rules = append(h.Rules, kernelRule(f, 32767, TableDefault))
		}
	}
	return h
}

func kernelRule(f Family, priority, table uint32) Rule {
	return Rule{Family: f, Priority: priority, Action: Lookup, Table: table, Protocol: 2}
}

// link adds an interface that is up, with its connected routes.
func (h *host) link(name string, addresses ...string) {
	l := Link{Index: len(h.Links) + 2, Up: true, Carrier: true}
	for _, text := range addresses {
		a := netip.MustParsePrefix(text)
		l.Addresses = append(l.Addresses, a)
		r := Route{Family: FamilyOf(a.Addr()), Table: TableMain, Dst: a.Masked(), Hops: []NextHop{{Interface: name}}, Protocol: 2}
		if r.Family == IPv4 {
			r.Source = a.Addr()
		} else {
			r.Metric = 256
		}
		second := func(o Route) bool { return o.Dst == r.Dst && o.Hops[0] == r.Hops[0] }
		if !slices.ContainsFunc(h.Routes, second) {
			h.Routes = append(h.Routes, r)
		}
	}
	h.Links[name] = l
	h.Inner[name] = Inner{Index: l.Index}
	for _, s := range []string{rpFilter(name), linkdown("ipv4", name), linkdown("ipv6", name)} {
		h.Sysctls[s] = "0"
	}
}

// change alters an interface.
func (h *host) change(name string, with func(*Link)) {
	l := h.Links[name]
	with(&l)
	h.Links[name] = l
}

// route adds a default route of main's; gateway may be empty.
func (h *host) route(name, gateway string, metric uint32) *Route {
	r := Route{Family: IPv4, Table: TableMain, Hops: []NextHop{{Interface: name}}, Metric: metric, Protocol: 4}
	if gateway != "" {
		r.Hops[0].Gateway = netip.MustParseAddr(gateway)
		r.Family = FamilyOf(r.Hops[0].Gateway)
	}
	r.Dst = r.Family.Default()
	h.Routes = append(h.Routes, r)
	return &h.Routes[len(h.Routes)-1]
}

// exampleHost is the host of the design's example policy.
func exampleHost() *host {
	h := newHost()
	h.link("eth0", "192.0.2.10/24", "2001:db8:1::10/64")
	h.link("wwan0", "10.0.0.2/24", "2001:db8:2::2/64")
	h.link("br-guest", "192.168.1.1/24")
	h.route("eth0", "192.0.2.1", 100)
	h.route("eth0", "2001:db8:1::1", 100)
	h.Users["trader"] = 1999
	return h
}

// twoUplinks is a host with uplinks on eth0 and eth1, both in both families.
func twoUplinks() *host {
	h := newHost()
	h.link("eth0", "10.0.1.2/24", "2001:db8:1::2/64")
	h.link("eth1", "10.0.2.2/24", "2001:db8:2::2/64")
	for i, gateway := range []string{"10.0.1.1", "2001:db8:1::1", "10.0.2.1", "2001:db8:2::1"} {
		h.route([]string{"eth0", "eth1"}[i/2], gateway, uint32(100*(1+i/2)))
	}
	return h
}

func parse(t testing.TB, text string) *classes.Policy {
	t.Helper()
	p, err := classes.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatalf("the test's policy is wrong: %v\n%s", err, text)
	}
	return p
}

// make makes a plan of a policy's text, which has to succeed.
func (h *host) make(t testing.TB, text string, before Numbers) *Plan {
	t.Helper()
	p, err := Make(parse(t, text), h.Facts, before, Options{CgroupRoot: "/sys/fs/cgroup"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// holding is the kernel after a plan was applied.
func holding(p *Plan) Kernel {
	k := Kernel{Rules: slices.Clone(p.Rules), Routes: slices.Clone(p.Routes), Hooks: slices.Clone(p.Hooks), Table: Table{SNAT: slices.Clone(p.SNAT), Answers: slices.Clone(p.Answers)},
		Sysctls: map[string]string{}, Fingerprint: p.Fingerprint()}
	for _, s := range p.Sysctls {
		k.Sysctls[s.Name] = s.Value
	}
	return k
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }
