// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"waymark/internal/lab"
	"waymark/loader"
)

// a watching is one `waymark watch` on a site's host.
type watching struct {
	*lab.Cmd
	mu     sync.Mutex
	events []loader.Event
	stderr strings.Builder
}

// watch starts one, and waits until it sees.
func (s *site) watch(t *testing.T, args ...string) *watching {
	t.Helper()
	w := &watching{Cmd: s.Host.Command(binary(t), append([]string{"watch", "-o", "json"}, args...)...)}
	out := must[io.ReadCloser](t)(w.StdoutPipe())
	w.Stderr = &w.stderr
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e loader.Event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("%v: %s", err, lines.Text())
			}
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		}
	}()
	w.tells(t, "watching", func(loader.Event) bool { return true })
	return w
}

func (w *watching) all() []loader.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// tells waits for an event.
func (w *watching) tells(t *testing.T, kind string, is func(loader.Event) bool) (found loader.Event) {
	t.Helper()
	soon(t, kind+" is told", func() error {
		for _, e := range w.all() {
			if e.Kind == kind && is(e) {
				found = e
				return nil
			}
		}
		return fmt.Errorf("only %+v %s", w.all(), w.stderr.String())
	})
	return found
}

func (w *watching) ends(t *testing.T) {
	t.Helper()
	if err := w.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(); err != nil {
		t.Errorf("it ends with %v: %s", err, w.stderr.String())
	}
}

// TestWatchTellsOfFlows sees every kind of flow begin, with whose it is, and
// nothing of others.
func TestWatchTellsOfFlows(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "bulk.slice/x.service", "exec.slice")
	s.apply(t, topPolicy)
	w := s.watch(t)
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			t.Run(fmt.Sprintf("%s/%s", f, kind), func(t *testing.T) {
				job := in("bulk.slice/x.service", f.job(kind, 1))
				job.UID, job.Count = 2000, 1
				r := must[lab.Result](t)(s.Host.Run(job))
				peer := job.To[0].String()
				e := w.tells(t, loader.EventOpened, func(e loader.Event) bool {
					return e.Peer == peer && (kind == lab.TCP) == (e.Proto == "tcp") && (kind != lab.UDP || e.Source == r.Local.String())
				})
				if e.Class != "bulk" || e.Uplink != "b" || e.Cgroup != "bulk.slice/x.service" || e.PID == 0 || e.Command == "" || e.UID == nil || *e.UID != 2000 {
					t.Errorf("it is told as %+v", e)
				}
			})
		}
	}
	unclassed := v4.job(lab.UDP, 1)
	unclassed.Count = 1
	must[lab.Result](t)(s.Host.Run(unclassed))
	w.ends(t)
	for _, e := range w.all() {
		if e.Kind != "watching" && e.Class != "bulk" {
			t.Errorf("it tells of %+v", e)
		}
	}
	s.nothingWatches(t)
}

// nothingWatches checks that at every uplink our program is alone.
func (s *site) nothingWatches(t *testing.T) {
	t.Helper()
	for n := range s.Routers {
		name := s.Uplink(n).Interface
		err := s.Host.Do(func() error {
			device, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			r, err := link.QueryPrograms(link.QueryOptions{Target: device.Index, Attach: ebpf.AttachTCXEgress})
			if err == nil && len(r.Programs) > 1 {
				err = fmt.Errorf("%d programs are at %s", len(r.Programs), name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestWatchTellsOfTrouble sees repairs, drops, links and failovers, what is
// applied meanwhile, and ends well when it is killed.
func TestWatchTellsOfTrouble(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "bulk.slice", "exec.slice", "system.slice/x.service")
	s.apply(t, topPolicy)
	job := in("system.slice/x.service", from(v4.homeless(), v4.job(lab.UDP, 1)))
	client := s.open(t, job)
	w := s.watch(t)
	only := s.watch(t, "--class", "exec")

	s.ok(t, "move", "--existing", "move", "x.service", "bulk")
	change := w.tells(t, loader.EventInForce, func(e loader.Event) bool { return strings.HasSuffix(e.Text, "; move x.service to bulk") })
	w.tells(t, "watching", func(e loader.Event) bool { return !e.Time.Before(change.Time) })
	s.sends(t, job, client)
	e := w.tells(t, loader.EventRepaired, func(loader.Event) bool { return true })
	if e.Class != "bulk" || e.Uplink != "a" || e.Proto != "udp" || e.Cause == "" || e.Packets == 0 || e.Cgroup != "system.slice/x.service" {
		t.Errorf("the repair is told as %+v", e)
	}
	must[lab.Result](t)(client.Send(30, 1)) // a burst that nothing follows
	soon(t, "all of it is told", func() error {
		var all uint64
		for _, o := range w.all() {
			if o.Kind == loader.EventRepaired && o.Source == e.Source {
				all += o.Packets
			}
		}
		if all != 31 {
			return fmt.Errorf("%d packets are told as repaired, want 31", all)
		}
		return nil
	})

	s.shell(t, "nft 'add table inet watched; add chain inet watched out {type filter hook postrouting priority 0;}; add rule inet watched out udp dport 7 drop'")
	lost := in("bulk.slice", v4.job(lab.UDP, 1))
	lost.Count = 1
	_, _ = s.Host.Run(lost) // which gets no answer
	s.shell(t, "nft delete table inet watched")
	e = w.tells(t, loader.EventDropped, func(e loader.Event) bool { return e.Reason == "NETFILTER_DROP" })
	if e.Class != "bulk" || e.Proto != "udp" || e.Place == "" {
		t.Errorf("the drop is told as %+v", e)
	}

	deaf := in("bulk.slice", v4.job(lab.UDP, 1))
	deaf.NoReply = true
	c := s.open(t, deaf)
	must[lab.Result](t)(c.Send(3000, 1)) // whose answers nobody reads
	e = w.tells(t, loader.EventDropped, func(e loader.Event) bool { return e.Reason == "SOCKET_RCVBUFF" })
	if e.Class != "bulk" || e.Uplink != "" || e.Source != c.Opened.Local.String() || e.Cgroup != "bulk.slice" || e.PID == 0 {
		t.Errorf("the drop of an answer is told as %+v", e)
	}

	if err := s.Unplug(byB); err != nil {
		t.Fatal(err)
	}
	w.tells(t, loader.EventLinkDown, func(e loader.Event) bool { return e.Uplink == "b" })
	w.tells(t, loader.EventFailedOver, func(e loader.Event) bool { return e.Class == "bulk" && e.Text == "from b to none" })
	if err := s.Plug(byB); err != nil {
		t.Fatal(err)
	}
	for _, f := range bothFamilies { // that went with the cable
		addRoute(t, s.Routers[byB], netip.PrefixFrom(f.homeless(), f.homeless().BitLen()), s.address(byB, f.homeless()))
	}
	w.tells(t, loader.EventLinkUp, func(e loader.Event) bool { return e.Uplink == "b" })
	only.ends(t)
	for _, e := range only.all() {
		if e.Kind != "watching" && e.Kind != loader.EventInForce {
			t.Errorf("of class exec it tells %+v", e)
		}
	}
	_ = w.Close() // SIGKILL
	s.nothingWatches(t)
}

// TestWatchEnds ends well after so many events, at a signal, and when nobody
// reads what it tells.
func TestWatchEnds(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "bulk.slice")
	s.apply(t, topPolicy)
	job := in("bulk.slice", v4.job(lab.TCP, 1))
	one := s.watch(t, "-n", "1", "--peer", job.To[0].Addr().String(), "--cgroup", "bulk.slice")
	elsewhere := s.watch(t, "--peer", "192.0.2.0/24")
	piped := s.Host.Command("bash", "-c", "set -o pipefail; "+binary(t)+" watch | head -n 1") // while nothing happens
	if out, err := piped.CombinedOutput(); !strings.Contains(out, "watching") || err != nil {
		t.Errorf("into a pipe that is closed: %s %v", out, err)
	}
	must[lab.Result](t)(s.Host.Run(job))
	if err := one.Wait(); err != nil {
		t.Errorf("after one event it ends with %v: %s", err, one.stderr.String())
	}
	elsewhere.ends(t)
	if all := elsewhere.all(); len(all) != 1 {
		t.Errorf("of another peer it tells %+v", all)
	}
	s.nothingWatches(t)
}
