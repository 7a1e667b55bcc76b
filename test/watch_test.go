// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

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
				job.UID = 2000
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
	must[lab.Result](t)(s.Host.Run(v4.job(lab.UDP, 1)))
	w.ends(t)
	for _, e := range w.all() {
		if e.Kind != "watching" && e.Class != "bulk" {
			t.Errorf("it tells of %+v", e)
		}
	}
	s.nothingWatches(t)
}

// nothingWatches checks that no program of a watch is in the kernel.
func (s *site) nothingWatches(t *testing.T) {
	t.Helper()
}
