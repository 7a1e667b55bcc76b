// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

const (
	thousand  = 1000
	firstPort = 3000
	firstUser = 10000
)

// routes are the four ways of a thousand classes, and the uplink that each
// begins with.
var routes = []struct {
	text   string
	router int
}{{"route: [a]", byA}, {"route: [b, c]", byB}, {"route: [c], otherwise: unreachable", byC}, {"route: [c, b]", byC}}

// thousandClasses is a policy with a mask of 12 bits that has gaps. Every
// fifth class is one by user, every fifth by cgroup, the others are by port.
func thousandClasses() string {
	var b strings.Builder
	b.WriteString("mark: {mask: 0xb73f0000}\n" + threeUplinks + "classes:\n")
	for n := range thousand {
		fmt.Fprintf(&b, "  - {name: class-%d, %s, match: [{", n, routes[n%len(routes)].text)
		switch n % 5 {
		case 0:
			fmt.Fprintf(&b, "uid: %d", firstUser+n)
		case 1:
			fmt.Fprintf(&b, "cgroup: many.slice/%d.service", n)
		default:
			fmt.Fprintf(&b, "proto: [tcp, udp], dst: [203.0.113.0/24, \"2001:db8:f::/64\"], dport: %d", firstPort+n)
		}
		b.WriteString("}]}\n")
	}
	return b.String()
}

// TestThousandClasses applies them, and samples where they lead.
func TestThousandClasses(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	for n := 1; n < thousand; n += 5 {
		s.cgroups(t, fmt.Sprintf("many.slice/%d.service", n))
	}
	s.mark(t)
	binary(t)
	start := time.Now()
	s.apply(t, thousandClasses())
	took := time.Since(start)
	t.Logf("apply of %d classes: %s, of the 2 s it may take", thousand, took)
	if took > 20*time.Second {
		t.Errorf("apply took %s, which is more than ten times what it may", took)
	}
	for _, family := range []string{"-4", "-6"} {
		out := must[string](t)(s.Host.Command("ip", family, "rule", "show", "protocol", "119").Output())
		rules := strings.Count(out, "\n")
		t.Logf("ip %s rule: %d rules of ours", family, rules)
		if rules > 64 || rules < len(routes) {
			t.Errorf("ip %s rule has %d rules of ours, want at most 64:\n%s", family, rules, out)
		}
	}
	s.again(t, thousandClasses())
	for _, n := range []int{0, 1, 2, 3, 4, 333, 498, 499, 500, 511, 512, 513, 996, 997, 998, 999} {
		t.Run(fmt.Sprintf("class %d", n), func(t *testing.T) { s.sample(t, n) })
	}
}

// again applies what is applied, which changes nothing.
func (s *site) again(t *testing.T, policy string) {
	t.Helper()
	args := append([]string{"apply", "-o", "json"}, s.write(t, policy)...)
	before, pinned := s.state(t), s.objects(t)
	start := time.Now()
	out := s.ok(t, args...)
	took := time.Since(start)
	t.Logf("apply that changes nothing: %s, of the 200 ms it may take", took)
	if took > 2*time.Second {
		t.Errorf("apply that changes nothing took %s, which is more than ten times what it may", took)
	}
	if a := item[applied](t, out); a.Changed {
		t.Errorf("apply of what is applied changed something: %s", out)
	}
	if diff := lines(before, s.state(t)); diff != "" {
		t.Errorf("apply of what is applied changed the state (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(pinned, s.objects(t), cmp.AllowUnexported(objects{})); diff != "" {
		t.Errorf("apply of what is applied made other BPF objects (-before +after):\n%s", diff)
	}
}

// sample sends what is in one of the classes, and its neighbour that is in none.
func (s *site) sample(t *testing.T, n int) {
	t.Helper()
	router := routes[n%len(routes)].router
	server := must[*lab.Server](t)(s.Far.Serve(uint16(firstPort + n)))
	defer server.Close()
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
		for _, f := range []ip{v4, v6} {
			job := f.job(kind, 1+n%lab.Services)
			switch n % 5 {
			case 0:
				job.UID, job.GID = uint32(firstUser+n), 1
			case 1:
				job.Cgroup = fmt.Sprintf("many.slice/%d.service/below", n)
			default:
				port := uint16(firstPort + n)
				job.To = []netip.AddrPort{netip.AddrPortFrom(job.To[0].Addr(), port)}
			}
			s.leaves(t, job, router)
		}
	}
}
