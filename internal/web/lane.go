// SPDX-License-Identifier: Apache-2.0

package web

import (
	"waymark/internal/datapath"
	"waymark/loader"
)

// lane is a class's on an uplink; used is false where nothing was ever seen.
func (r *reader) lane(class string, t loader.UplinkTally) (l lane, used bool) {
	l = lane{Uplink: t.Uplink, Misroutes: t.Misroutes, Repaired: t.Repaired, Moved: t.Moved, Reset: t.Reset}
	l.Sent, l.Received = datapath.Volume{Packets: t.Packets, Bytes: t.Bytes}, t.Received.Total()
	if l == (lane{Uplink: t.Uplink}) && t.Connections == (datapath.Connections{}) {
		return l, false
	}
	since := func(count func(*datapath.Tally) uint64, now uint64) float64 {
		return r.rate(now, func(was reading) (uint64, bool) {
			before, known := was.tallies[[2]string{class, t.Uplink}]
			if !known {
				return 0, false
			}
			return count(before), true
		})
	}
	l.SentRate = rate{since(func(t *datapath.Tally) uint64 { return t.Packets }, t.Packets),
		8 * since(func(t *datapath.Tally) uint64 { return t.Bytes }, t.Bytes)}
	l.ReceivedRate = rate{since(func(t *datapath.Tally) uint64 { return t.Received.Total().Packets }, l.Received.Packets),
		8 * since(func(t *datapath.Tally) uint64 { return t.Received.Total().Bytes }, l.Received.Bytes)}
	l.RTT = r.inWindow(class, t, func(t *datapath.Tally) datapath.Histogram { return t.RTT })
	return l, true
}

// inWindow is what a histogram counted in the window.
func (r *reader) inWindow(class string, t loader.UplinkTally, of func(*datapath.Tally) datapath.Histogram) *percentiles {
	now := of(&t.Tally)
	if len(r.last) < 2 {
		return nil
	}
	before, known := r.last[0].tallies[[2]string{class, t.Uplink}]
	if !known {
		return nil
	}
	if then := of(before); then.Count < now.Count {
		return percentilesOf(now.Since(then))
	}
	return nil
}
