// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"time"

	"waymark/bpf"
)

// burst is trouble of one flow. The kernel tells of its first packet at once,
// and of what follows with the first that comes a second later or more: of the
// end of a burst it says nothing.
type burst struct {
	flow    bpf.WatchWatchFlow
	dropped bool // or else it went astray
}

// bursts are those that the kernel told of, for as long as more may follow.
type bursts struct {
	last  map[burst]toldEvent
	ahead map[burst]uint64 // packets that were told before the kernel tells of them
}

type toldEvent struct {
	bpf.WatchEvent
	at time.Time
}

// No more are remembered than the kernel's programs remember flows: of others
// the end is not told.
const manyBursts = 1 << 16

func newBursts() bursts {
	return bursts{map[burst]toldEvent{}, map[burst]uint64{}}
}

// told takes note of an event, and from it what was told ahead.
func (b bursts) told(k *bpf.WatchEvent, now time.Time) {
	kind := eventKinds[k.Kind]
	if kind == EventOpened || kind == EventAccepted {
		return
	}
	of := burst{k.Flow, kind == EventDropped}
	if ahead := b.ahead[of]; ahead < k.Packets {
		k.Packets -= ahead
	}
	delete(b.ahead, of)
	if len(b.last) < manyBursts {
		b.last[of] = toldEvent{*k, now}
	}
}

// rest tells how many packets followed the first of bursts that were told of
// before a moment.
func (w *watcher) rest(before time.Time) error {
	for of, told := range w.bursts.last {
		if !told.at.Before(before) {
			continue
		}
		delete(w.bursts.last, of)
		n, err := w.watch.Since(of.flow, of.dropped)
		if err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if n == 0 {
			continue
		}
		if len(w.bursts.ahead) < manyBursts {
			w.bursts.ahead[of] = n
		}
		told.Packets = n
		e := w.event(told.WatchEvent)
		e.Time = time.Now()
		if err := w.pass(e); err != nil {
			return err
		}
	}
	return nil
}
