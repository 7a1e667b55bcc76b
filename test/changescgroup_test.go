// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"waymark/internal/lab"
)

// TestProcessChangesCgroup has a process take its sockets along into other
// cgroups. Who sends an unconnected datagram counts, not who made the socket:
// each leaves as the cgroup says that the process is in, and where that says
// nothing, as the socket was made. What is connected stays as it was.
func TestProcessChangesCgroup(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice", "other.slice", "plain.slice")
	s.apply(t, threeUplinks+`
classes:
  - {name: group, route: [b], match: [{cgroup: app.slice}]}
  - {name: closed, route: [c], otherwise: unreachable, match: [{cgroup: other.slice}]}
`)
	for _, f := range ips {
		for _, c := range []struct {
			kind    lab.Kind
			cgroups []string // in turn; the socket is made in the first
			routers []int
		}{
			{lab.SendTo, []string{"app.slice", "other.slice", "app.slice/x", "plain.slice", "other.slice", "plain.slice"}, []int{byB, byC, byB, byB, byC, byB}},
			{lab.SendTo, []string{"plain.slice", "other.slice", "plain.slice", "app.slice"}, []int{byA, byC, byA, byB}},
			{lab.UDP, []string{"app.slice", "other.slice", "plain.slice"}, []int{byB, byB, byB}},
			{lab.TCP, []string{"app.slice", "other.slice", "plain.slice"}, []int{byB, byB, byB}},
		} {
			t.Run(fmt.Sprintf("%s/%s in %s", f, c.kind, c.cgroups[0]), func(t *testing.T) {
				job := in(c.cgroups[0], f.job(c.kind, 1))
				client := s.open(t, job)
				for i, cgroup := range c.cgroups {
					s.enter(t, client, cgroup)
					trip := s.sends(t, job, client)
					trip.stays(t, c.routers[i], s.address(c.routers[i], job.To[0].Addr()))
				}
			})
		}
	}
}

// enter puts a client's process into a cgroup, which is made if need be.
func (s *site) enter(t *testing.T, c *lab.Client, cgroup string) {
	t.Helper()
	dir := must[string](t)(s.Cgroup(cgroup))
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(c.PID())), 0); err != nil {
		t.Fatal(err)
	}
}
