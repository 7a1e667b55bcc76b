// SPDX-License-Identifier: Apache-2.0

package test

import (
	"slices"
	"strings"
	"testing"

	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/internal/plan"
)

// What a test says of a kernel that it cannot be run on, in the words of
// test/kernels: there it is an error unless the kernel was seen to lack it.
const (
	lacksMark  = "this kernel lacks bpf_fib_lookup by mark, and bpf_redirect_neigh there"
	lacksTable = "this kernel lacks bpf_fib_lookup in one table, and bpf_redirect_neigh there"
	lacksShort = "this kernel lacks BPF_PROG_TEST_RUN on a packet shorter than its header"
)

// needRepair skips where misroutes are counted and not repaired, in the
// family that the test's name says; no family is IPv4.
func needRepair(t *testing.T) {
	t.Helper()
	silent := must[map[plan.Family]bool](t)(datapath.Silent())
	switch v6 := strings.Contains(t.Name(), string(v6)); {
	case v6 && silent[plan.IPv6]:
		t.Skip(lacksTable)
	case !v6 && silent[plan.IPv4]:
		t.Skip(lacksMark)
	}
}

// TestRepair has datagrams on the wrong way that could live on the right
// one. They are sent there, and where the kernel cannot be asked for it they
// are counted, not let out if that would be a leak, and status says so.
func TestRepair(t *testing.T) {
	silent := must[map[plan.Family]bool](t)(datapath.Silent())
	s := newTraffic(t, lab.Options{})
	type opened struct {
		job    lab.Job
		client *lab.Client
	}
	clients := map[string]opened{}
	for _, f := range ips {
		for _, cgroup := range []string{"app.slice", "closed.slice"} {
			job := in(cgroup, from(f.homeless(), f.job(lab.UDP, 1)))
			job.Timeout = 500e6
			clients[cgroup+string(f)] = opened{job, s.open(t, job)}
		}
	}
	s.apply(t, traffic)
	for _, f := range ips {
		asked := !silent[plan.FamilyOf(f.homeless())]
		for cgroup, class := range map[string]string{"app.slice": "group a", "closed.slice": "closed a"} {
			t.Run(cgroup+"/"+string(f), func(t *testing.T) {
				router, counted, c := byB, repaired(misrouted(1, before)), clients[cgroup+string(f)]
				if !asked {
					router, counted = byA, misrouted(1, before)
				}
				if !asked && cgroup == "closed.slice" {
					router, counted = -1, dropped(counted)
				}
				s.account(t, ledger{class: counted}, func() {
					trip := s.sends(t, c.job, c.client)
					if router < 0 {
						trip.Errno = ""
					}
					trip.stays(t, router, f.homeless())
				})
			})
		}
	}
	s.saysRepair(t, silent)
}

// saysRepair checks that status says for which families nothing is repaired.
func (s *site) saysRepair(t *testing.T, silent map[plan.Family]bool) {
	t.Helper()
	const words = "misroutes are counted and not repaired for "
	var without []string
	for _, f := range plan.Families {
		if silent[f] {
			without = append(without, f.String())
		}
	}
	want := words + strings.Join(without, " and ") + ":"
	said := slices.ContainsFunc(s.status(t).Notes, func(note string) bool { return strings.HasPrefix(note, want) })
	printed := s.ok(t, "status")
	if told := len(without) > 0; said != told || strings.Contains(printed, "\nnote: "+want) != told || strings.Contains(printed, words) != told {
		t.Errorf("nothing is repaired for %v, and status says:\n%s", without, printed)
	}
}
