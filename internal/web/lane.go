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
	if previous := r.previous(); previous != nil {
		if was := previous.tally(n, c.Name, k, t.Uplink); was != nil {
			received := was.Received.Total()
			l.SentRate = rate{r.rate(was.Packets, t.Packets), 8 * r.rate(was.Bytes, t.Bytes)}
			l.ReceivedRate = rate{r.rate(received.Packets, l.Received.Packets), 8 * r.rate(received.Bytes, l.Received.Bytes)}
		}
	}
	l.RTT = r.inWindow(n, c, k, func(t *datapath.Tally) *datapath.Histogram { return &t.RTT })
	return l, true
}

// inWindow is what a histogram counted in the window.
func (r *reader) inWindow(n int, c *loader.ClassSample, k int, of func(*datapath.Tally) *datapath.Histogram) *percentiles {
	if len(r.last) < 2 {
		return nil
	}
	before := r.last[0].tally(n, c.Name, k, c.Traffic[k].Uplink)
	if before == nil {
		return nil
	}
	return percentilesSince(of(before), of(&c.Traffic[k].Tally))
}
