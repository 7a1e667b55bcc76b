// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

// setUp and takeDown are multi-homing as people do it by hand: a table of b, rules
// by user, destination and mark, and a filter that sets the mark.
const (
	setUp = `
ip -4 route add default via 10.0.2.1 table 100; ip -6 route add default via 2001:db8:2::1 table 100
for f in -4 -6; do
	ip $f rule add priority 500 uidrange 2001-2009 lookup 100
	ip $f rule add priority 510 fwmark 0x5 lookup 100
	ip $f rule add priority 511 fwmark 0x5 unreachable
done
ip -4 rule add priority 520 to 203.0.113.3 lookup 100
nft 'table inet hand {
	chain out { type route hook output priority mangle; meta skuid 2020 meta mark set 0x5; udp dport 7 ip6 daddr 2001:db8:f::4 meta mark set 0x5; }
	chain in { type filter hook prerouting priority mangle; iifname "br-lan" tcp dport 7 meta mark set 0x5; }
}'`
	takeDown = `
ip -4 route flush table 100; ip -6 route flush table 100; nft delete table inet hand
for f in -4 -6; do ip $f rule del priority 500; ip $f rule del priority 510; ip $f rule del priority 511; done
ip -4 rule del priority 520`
)

// TestImport sends what a set-up by hand steers, has it imported, takes it away
// and sends the same: by the same routers.
func TestImport(t *testing.T) {
	s := newSite(t, lab.Options{LAN: true, Forward: true})
	s.shell(t, setUp)
	byHand := s.steered(t)
	policy := filepath.Join(s.dir, "imported.yaml")
	s.ok(t, "import", "-f", policy)
	s.shell(t, takeDown)
	s.ok(t, "apply", "-f", policy, "--cgroup-root", s.CgroupRoot())
	if diff := cmp.Diff(byHand, s.steered(t)); diff != "" {
		t.Errorf("which router gets what (-by hand +imported):\n%s", diff)
	}
	for _, router := range []int{byA, byB} {
		if !slices.Contains(slices.Collect(maps.Values(byHand)), router) {
			t.Errorf("by hand nothing goes to router %d: %v", router, byHand)
		}
	}
}

// steered is the router that gets each of some datagrams and connections, of
// users and of what is forwarded; -1: none does.
func (s *site) steered(t *testing.T) map[string]int {
	t.Helper()
	by := map[string]int{}
	router := func(trip trip) int {
		return slices.IndexFunc(trip.at, func(packets []lab.Packet) bool { return len(packets) > 0 })
	}
	for _, f := range bothFamilies {
		for _, uid := range []uint32{0, 2001, 2009, 2010, 2020} {
			for service := 1; service <= 4; service++ {
				job := f.job(lab.SendTo, service)
				// A filter marks when the source is chosen already: there is no answer.
				job.UID, job.GID, job.Count, job.Size, job.NoReply = uid, uid, 1, 8, true
				by[fmt.Sprintf("%s, user %d, to %d", f, uid, service)] = router(s.send(t, s.Host, job))
			}
		}
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
			by[fmt.Sprintf("%s forwarded, %s", kind, f)] = router(s.send(t, s.LAN, f.job(kind, 1)))
		}
	}
	return by
}
