// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/host"
)

// Watching is what somebody wants to be told of. The zero value is everything.
type Watching struct {
	Class  string
	Cgroup string       // a path below the cgroup root, or the name of a cgroup, with all below it
	Peer   netip.Prefix // of the flow's other end
	// Also are events that others know of; it is called once a second. nil: none.
	Also func() ([]Event, error)
}

const (
	latency = 100 * time.Millisecond // of an event that comes alone
	glance  = time.Second            // between two looks at links and states
)

// watcher is one that watches.
type watcher struct {
	*Meter
	Watching
	tell    func(Event) error
	watch   *datapath.Watch
	watched uint64  // datapath.StateVersion of what it watches
	last    *Sample // nil: nothing is applied
	told    string  // what is in force, as it was told last; "": not yet
	untold  uint64
	bursts  bursts
	cgroups map[uint64]string
}

// Events tells of what happens until ctx ends, which is no error, or telling
// fails. Nothing is in the kernel for it before and after. An error that is
// fs.ErrNotExist says that nothing is applied; what happens to that later on
// is an event.
func (l *Loader) Events(ctx context.Context, o Watching, tell func(Event) error) error {
	w := &watcher{Meter: l.Meter(), Watching: o, tell: tell, cgroups: map[uint64]string{}}
	defer w.close()
	if _, err := w.Read(); err != nil {
		return err
	}
	if err := w.known(); err != nil {
		return err
	}
	for next := time.Now(); ctx.Err() == nil; {
		if !time.Now().Before(next) {
			if err := w.glance(); err != nil {
				return err
			}
			next = time.Now().Add(glance)
		}
		if err := w.events(ctx); err != nil {
			return err
		}
		if err := w.rest(time.Now().Add(-glance)); err != nil {
			return err
		}
	}
	return w.rest(time.Now())
}

// known refuses to watch for a class that there is none of.
func (w *watcher) known() error {
	for _, c := range w.plan.Classes {
		if w.Class == c.Name {
			return nil
		}
	}
	if w.Class == "" {
		return nil
	}
	return fmt.Errorf("watch class %q: the applied policy has no such class: `waymark status` lists those it has", w.Class)
}

func (w *watcher) close() {
	if w.watch != nil {
		w.watch.Close()
	}
	w.watch, w.bursts = nil, bursts{}
	w.Meter.Close()
}

// events tells of what the kernel has, and returns after a moment.
func (w *watcher) events(ctx context.Context) error {
	if w.watch == nil {
		select {
		case <-ctx.Done():
		case <-time.After(latency):
		}
		return nil
	}
	for ctx.Err() == nil {
		k, err := w.watch.Read(latency)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		w.bursts.told(&k, time.Now())
		if err := w.pass(w.event(k)); err != nil {
			return err
		}
	}
	return nil
}

// pass tells of an event that is asked for.
func (w *watcher) pass(e Event) error {
	switch {
	case e.Kind == EventUntold || e.Kind == EventInForce || e.Kind == EventWatching: // they concern everybody
	case w.Class != "" && e.Class != w.Class:
		return nil
	case w.Cgroup != "" && !within(e.Cgroup, w.Cgroup):
		return nil
	case w.Peer.IsValid() && !w.Peer.Contains(e.peer):
		return nil
	}
	return w.tell(e)
}

// within tells whether a cgroup is one with a path or name, or below one.
func within(cgroup, named string) bool {
	named = strings.Trim(named, "/")
	if named == "" || cgroup == named || strings.HasPrefix(cgroup, named+"/") {
		return true
	}
	return slices.Contains(strings.Split(cgroup, "/"), named)
}

// glance looks at what the kernel's programs do not tell of.
func (w *watcher) glance() error {
	s, err := w.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return w.gone()
	}
	if err != nil {
		return err
	}
	if err := w.compare(s); err != nil {
		return err
	}
	w.last = s
	if err := w.follow(); err != nil {
		return err
	}
	if w.Also == nil {
		return nil
	}
	also, err := w.Also()
	for _, e := range also {
		if err := w.pass(e); err != nil {
			return err
		}
	}
	return err
}

// gone has nothing to watch, until something is applied.
func (w *watcher) gone() error {
	if w.last == nil {
		return nil
	}
	w.close()
	w.last, w.watched, w.told = nil, 0, "nothing is applied any more"
	return w.pass(Event{Time: time.Now(), Kind: EventInForce, Text: w.told})
}

// compare tells what is otherwise than at the last look.
func (w *watcher) compare(s *Sample) error {
	var all []Event
	now := func(kind string) *Event {
		all = append(all, Event{Time: s.Time, Kind: kind})
		return &all[len(all)-1]
	}
	if text := w.inForce(); text != w.told {
		if w.told != "" {
			now(EventInForce).Text = text
		}
		w.told = text
	}
	if w.last != nil {
		w.links(s, now)
		w.ways(s, now)
	}
	if w.watch != nil {
		n, err := w.watch.Untold()
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if n > w.untold {
			e := now(EventUntold)
			e.Packets, e.Text = n-w.untold, "more events than could be told"
		}
		w.untold = n
	}
	for _, e := range all {
		if err := w.pass(e); err != nil {
			return err
		}
	}
	return nil
}

// inForce says what is applied, with its moves.
func (w *watcher) inForce() string {
	text := fmt.Sprintf("state %d", w.state.Number)
	for _, o := range w.state.Overrides {
		text += "; " + o.String()
	}
	return text
}

func (w *watcher) links(s *Sample, now func(string) *Event) {
	for _, u := range s.Uplinks {
		i := slices.IndexFunc(w.last.Uplinks, func(before UplinkSample) bool { return before.Name == u.Name })
		if i < 0 || w.last.Uplinks[i].Up == u.Up {
			continue
		}
		kind := EventLinkDown
		if u.Up {
			kind = EventLinkUp
		}
		now(kind).Uplink = u.Name
	}
}

func (w *watcher) ways(s *Sample, now func(string) *Event) {
	for _, c := range s.Classes {
		i := slices.IndexFunc(w.last.Classes, func(before ClassSample) bool { return before.Name == c.Name })
		if i < 0 || w.last.Classes[i].Uplink == c.Uplink {
			continue
		}
		e := now(EventFailedOver)
		e.Class, e.Uplink = c.Name, c.Uplink
		e.Text = fmt.Sprintf("from %s to %s", orNone(w.last.Classes[i].Uplink), orNone(c.Uplink))
	}
}

func orNone(uplink string) string {
	if uplink == "" {
		return "none"
	}
	return uplink
}

// follow watches the programs that are attached now.
func (w *watcher) follow() error {
	if w.watch != nil && w.watched == w.version {
		if stale, err := w.watch.Stale(); err != nil || !stale {
			return err
		}
	}
	if w.watch != nil {
		if err := w.rest(time.Now()); err != nil {
			return err
		}
		w.watch.Close()
		w.watch = nil
	}
	w.watched, w.untold = w.version, 0
	if !w.state.current() {
		return errors.New("watch: the programs of another build of waymark are attached: `waymark apply` puts this one's in their place")
	}
	watch, err := w.counts.Watch(w.loader.root)
	if err != nil {
		return err
	}
	w.watch, w.bursts = watch, newBursts()
	return w.pass(Event{Time: time.Now(), Kind: EventWatching, Text: fmt.Sprintf("state %d", w.state.Number)})
}

// cgroup is the path of a cgroup, also when it is gone since it was first met.
func (w *watcher) cgroup(id uint64) string {
	if id == 0 {
		return ""
	}
	if path, ok := w.cgroups[id]; ok {
		return path
	}
	path, err := host.CgroupPath(w.loader.root, id)
	if err != nil {
		return fmt.Sprintf("cgroup id %d, which is gone", id)
	}
	const many = 1 << 16
	if len(w.cgroups) >= many {
		clear(w.cgroups)
	}
	w.cgroups[id] = path
	return path
}
