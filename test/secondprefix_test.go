// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// second is the host's other address on its first uplink, of another network.
var second = map[ip]netip.Prefix{v4: netip.MustParsePrefix("10.0.9.2/24"), v6: netip.MustParsePrefix("2001:db8:9::2/64")}

// giveSecond has uplink a's provider give the host a second network.
func (s *site) giveSecond(t *testing.T) {
	t.Helper()
	for _, f := range bothFamilies {
		addAddress(t, s.Host, "up-a", second[f])
		addRoute(t, s.Routers[byA], second[f].Masked(), s.address(byA, f.homeless()))
	}
	addRoute(t, s.Far, second[v4].Masked(), netip.MustParseAddr("10.1.1.1"))
	addRoute(t, s.Far, second[v6].Masked(), netip.MustParseAddr("2001:db8:1:1::1"))
}

// TestSecondPrefix has addresses of two networks on one uplink: what comes from
// either lives there and nowhere else.
func TestSecondPrefix(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.giveSecond(t)
	open := map[ip]*lab.Client{}
	for _, f := range bothFamilies {
		open[f] = s.open(t, in("app.slice", from(second[f].Addr(), f.job(lab.TCP, 1))))
	}
	s.apply(t, traffic)
	for n, cgroup := range []string{"", "app.slice", "closed.slice"} {
		port := uint16(100 + 2*n)
		s.listen(t, cgroup, port)
		for _, f := range bothFamilies {
			at := second[f].Addr()
			for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
				t.Run(fmt.Sprintf("bound in %q/%s/%s", cgroup, kind, f), func(t *testing.T) {
					s.blameless(t, func() { s.send(t, s.Host, in(cgroup, from(at, f.job(kind, 1)))).left(t, byA, at) })
				})
			}
			for name, to := range map[string]lab.Job{"TCP": {Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(at, port)}},
				"plain UDP": {Kind: lab.UDP, To: []netip.AddrPort{netip.AddrPortFrom(at, port+1)}}} {
				t.Run(fmt.Sprintf("asked in %q/%s/%s", cgroup, name, f), func(t *testing.T) {
					s.blameless(t, func() { s.answers(t, s.Far, to, byA) })
				})
			}
		}
	}
	for _, f := range bothFamilies {
		t.Run("opened before/"+string(f), func(t *testing.T) {
			s.drain(t)
			r := must[lab.Result](t)(open[f].Send(1, 16))
			job := f.job(lab.TCP, 1)
			for n, packets := range s.collect(t, socketOf(job, r)) {
				if (n == byA) != (len(packets) > 0) {
					t.Errorf("router %d got %v; all should pass router %d", n, packets, byA)
				}
			}
		})
	}
	t.Run("deprecated", s.deprecated)
}

// deprecated has uplink b's only IPv6 address deprecated, as when a provider gives a
// host another network: it is b's no less, and the kernel would have new flows take a's.
func (s *site) deprecated(t *testing.T) {
	lifetime := func(preferred, valid string) {
		s.shell(t, "ip -6 addr change 2001:db8:2::2/64 dev up-b nodad preferred_lft "+preferred+" valid_lft "+valid)
		s.apply(t, traffic)
	}
	lifetime("0", "3600")
	defer lifetime("forever", "forever")
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
		s.blameless(t, func() { s.leaves(t, in("app.slice", v6.job(kind, 1)), byB) })
	}
	s.blameless(t, func() {
		s.answers(t, s.Far, lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(s.Uplink(byB).Address6, 100)}}, byB)
	})
}
