// SPDX-License-Identifier: Apache-2.0

package web

import (
	"waymark/internal/datapath"
	"waymark/loader"
)

// lane is that of a class, in its place, on an uplink; used is false where
// nothing was ever seen.
func (r *reader) lane(n int, c *loader.ClassSample, k int) (l lane, used bool) {
	t := &c.Traffic[k]
	l = lane{Uplink: t.Uplink, Away: t.Away, Misroutes: t.Misroutes, Repaired: t.Repaired, Moved: t.Moved, Reset: t.Reset}
	l.Sent, l.Received = datapath.Volume{Packets: t.Packets, Bytes: t.Bytes}, t.Received.Total()
	if l == (lane{Uplink: t.Uplink}) && t.Connections == (datapath.Connections{}) {
		return l, false
	}
	if r.was != nil {
		if was := r.was.tally(n, c.Name, k, t.Uplink); was != nil {
			received := was.Received.Total()
			l.SentRate = rate{r.rate(was.Packets, t.Packets), 8 * r.rate(was.Bytes, t.Bytes)}
			l.ReceivedRate = rate{r.rate(received.Packets, l.Received.Packets), 8 * r.rate(received.Bytes, l.Received.Bytes)}
		}
	}
	l.RTT = r.inWindow(n, c, k, roundTrip)
	return l, true
}

// inWindow is what times of a kind were taken of in the window.
func (r *reader) inWindow(n int, c *loader.ClassSample, k int, kind timeKind) *percentiles {
	if len(r.window) < 2 {
		return nil
	}
	t := &c.Traffic[k]
	before := r.window[0].of(n, c.Name, k, t.Uplink)
	if before == nil {
		return nil
	}
	return percentilesSince(&before[kind], kind.of(&t.Tally))
}
