// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"testing"

	"waymark/internal/lab"
)

// TestNamedBesideConnected has a connected socket name the interface or the source of
// one datagram: that one leaves as was said, and it is no misroute.
func TestNamedBesideConnected(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		for _, c := range []struct {
			cgroup, class   string
			service, router int
		}{
			{"app.slice", "group a", 1, byB}, {"closed.slice", "closed a", 1, byB}, {"", "tuple a", 3, byC},
		} {
			to := f.service(c.service).Addr()
			// Beside an interface alone, the kernel leaves an IPv6 socket its source.
			alone := map[ip]int{v4: byA, v6: c.router}[f]
			for how, source := range map[string]int{"interface": alone, "source": byA, "both": byA} {
				t.Run(fmt.Sprintf("%s/%s/%s", f, c.class, how), func(t *testing.T) {
					s.account(t, ledger{c.class: misrouted(1, chosen)}, func() {
						s.arrives(t, to, byA, s.address(source, to), func() {
							s.work(t, c.cgroup, "be-odd", how+" beside, connected", to.String(), s.address(byA, to).String())
						})
					})
				})
			}
		}
	}
}
