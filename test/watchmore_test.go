// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"waymark/internal/lab"
	"waymark/loader"
)

// TestWatchTellsOfWhatComesAndOfHeals sees a connection that a class's
// listener accepts, and a rule that the agent puts back; and each filter lets through its own alone.
func TestWatchTellsOfWhatComesAndOfHeals(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "bulk.slice/x.service", "exec.slice")
	s.agent(t, topPolicy)
	s.listen(t, "bulk.slice/x.service", 7100)

	peer := lab.Service4(2)
	all, filtered := s.watch(t), map[string]*watching{
		"bulk":   s.watch(t, "--class", "bulk"),
		"cgroup": s.watch(t, "--cgroup", "x.service"),
		"peer":   s.watch(t, "--peer", peer.String()),
		"other":  s.watch(t, "--class", "exec", "--cgroup", "exec.slice"),
	}
	client := lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(s.Uplink(byB).Address4, 7100)}, Bind: netip.AddrPortFrom(peer, 0), Count: 1, Size: 16}
	if r := must[lab.Result](t)(s.Far.Run(client)); r.Err() != nil {
		t.Fatal(r.Err())
	}
	for name, w := range map[string]*watching{"all": all, "bulk": filtered["bulk"], "cgroup": filtered["cgroup"], "peer": filtered["peer"]} {
		e := w.tells(t, loader.EventAccepted, func(loader.Event) bool { return true })
		if e.Class != "bulk" || e.Uplink != "b" || e.Cgroup != "bulk.slice/x.service" || !strings.HasPrefix(e.Peer, peer.String()+":") {
			t.Errorf("%s: the connection is told as %+v", name, e)
		}
	}

	if err := s.Host.Command("ip", "rule", "del", "priority", "1001").Run(); err != nil {
		t.Fatal(err)
	}
	if e := all.tells(t, loader.EventHealed, func(loader.Event) bool { return true }); !strings.HasPrefix(e.Text, "rule ") {
		t.Errorf("the heal is told as %+v", e)
	}

	filtered["other"].ends(t)
	concernsAll := []string{loader.EventWatching, loader.EventInForce, loader.EventUntold}
	for _, e := range filtered["other"].all() {
		if !slices.Contains(concernsAll, e.Kind) {
			t.Errorf("of exec.slice's it tells %+v", e)
		}
	}
	for _, w := range []*watching{all, filtered["bulk"], filtered["cgroup"], filtered["peer"]} {
		w.ends(t)
	}
	s.nothingWatches(t)
}
