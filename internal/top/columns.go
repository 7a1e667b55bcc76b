// SPDX-License-Identifier: Apache-2.0

package top

import "fmt"

const (
	pastTitle   = "HISTORY" // of a sparkline
	sparkWidth  = 10
	shortestTo  = 10 // a name may be cut to this
	numberWidth = 6  // of what amount and duration print, with room for a title
)

// number is a column of amounts.
func number[R any](title string, keep int, value func(R) float64) column[R] {
	return column[R]{title: title, width: max(numberWidth, len(title)), keep: keep, value: value,
		text: func(r R) string { return amount(value(r)) }}
}

// trafficColumns are the columns of whatever has Traffic.
func trafficColumns[R any](of func(R) *Traffic, bars []rune) []column[R] {
	rtt := func(title string, keep int, p func(*Percentiles) float64) column[R] {
		return column[R]{title: title, width: numberWidth, keep: keep,
			value: func(r R) float64 {
				if of(r).RTT == nil {
					return -1
				}
				return p(of(r).RTT)
			},
			text: func(r R) string {
				if of(r).RTT == nil {
					return "-"
				}
				return duration(p(of(r).RTT))
			}}
	}
	return []column[R]{
		number("BIT/S", 1, func(r R) float64 { return of(r).BitsPerSecond }),
		{title: pastTitle, width: sparkWidth, left: true, keep: 7, value: func(r R) float64 { return of(r).BitsPerSecond },
			text: func(r R) string { return sparkline(of(r).Past, sparkWidth, bars) }},
		number("PKT/S", 5, func(r R) float64 { return of(r).PacketsPerSecond }),
		number("BYTES", 8, func(r R) float64 { return float64(of(r).Bytes) }),
		number("IN B/S", 11, func(r R) float64 { return of(r).ReceivedBitsPerSecond }),
		number("PACKETS", 16, func(r R) float64 { return float64(of(r).Packets) }),
		rtt("RTT50", 3, func(p *Percentiles) float64 { return p.P50 }),
		rtt("RTT95", 13, func(p *Percentiles) float64 { return p.P95 }),
		rtt("RTT99", 6, func(p *Percentiles) float64 { return p.P99 }),
		{title: "RETR", width: 5, keep: 14, value: func(r R) float64 { return of(r).Retransmitted },
			text: func(r R) string { return percent(of(r).Retransmitted) }},
		number("CONNS", 15, func(r R) float64 { return float64(of(r).Connections) }),
		number("FAILED", 17, func(r R) float64 { return float64(of(r).Failed) }),
		number("MISRT", 2, func(r R) float64 { return float64(of(r).Misroutes) }),
		number("REPAIR", 9, func(r R) float64 { return float64(of(r).Repaired) }),
		number("DROP", 12, func(r R) float64 { return float64(of(r).Dropped) }),
	}
}

func classColumns(bars []rune) []column[Class] {
	return append([]column[Class]{
		{title: "CLASS", flex: shortestTo, left: true, text: func(c Class) string { return c.Name }},
		{title: "UPLINK", left: true, keep: 4, text: wayOut},
		number("OPEN", 10, func(c Class) float64 { return float64(c.Open) }),
	}, trafficColumns(func(c Class) *Traffic { return &c.Traffic }, bars)...)
}

// wayOut is the uplink that a class leaves by now.
func wayOut(c Class) string {
	switch {
	case c.Uplink != "":
		return c.Uplink
	case c.Route == "":
		return "-"
	}
	return "none"
}

func uplinkColumns(bars []rune) []column[Uplink] {
	return append([]column[Uplink]{
		{title: "UPLINK", flex: shortestTo, left: true, text: func(u Uplink) string { return u.Name }},
		{title: "LINK", left: true, keep: 4, text: func(u Uplink) string { return fmt.Sprintf("%s %s", u.Interface, upDown(u.Up)) }},
	}, trafficColumns(func(u Uplink) *Traffic { return &u.Traffic }, bars)...)
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "DOWN"
}

func matchColumns(bars []rune) []column[Match] {
	return []column[Match]{
		{title: "MATCH", flex: shortestTo, left: true, text: func(m Match) string { return m.Text }},
		{title: "CLASS", left: true, keep: 2, text: func(m Match) string { return m.Class }},
		number("HITS/S", 1, func(m Match) float64 { return m.HitsPerSecond }),
		{title: pastTitle, width: sparkWidth, left: true, keep: 4, value: func(m Match) float64 { return m.HitsPerSecond },
			text: func(m Match) string { return sparkline(m.Past, sparkWidth, bars) }},
		number("HITS", 3, func(m Match) float64 { return float64(m.Hits) }),
		{title: "WHERE", left: true, keep: 5, text: func(m Match) string { return m.Where }},
	}
}

// pair is a class on one uplink.
type pair struct {
	Class string
	ByUplink
}

func pairs(classes []Class) (all []pair) {
	for _, c := range classes {
		for _, by := range c.By {
			all = append(all, pair{c.Name, by})
		}
	}
	return all
}

// pairColumns have the causes of misroutes where there is room.
func pairColumns(bars []rune) []column[pair] {
	cause := func(title string, keep int, n func(pair) uint64) column[pair] {
		return number(title, keep, func(p pair) float64 { return float64(n(p)) })
	}
	columns := append([]column[pair]{
		{title: "CLASS", flex: shortestTo, left: true, text: func(p pair) string { return p.Class }},
		{title: "UPLINK", left: true, text: func(p pair) string { return p.Uplink }},
	}, trafficColumns(func(p pair) *Traffic { return &p.Traffic }, bars)...)
	return append(columns,
		cause("BEFORE", 20, func(p pair) uint64 { return p.Causes.Before }),
		cause("LATE", 21, func(p pair) uint64 { return p.Causes.Late }),
		cause("FOREIGN", 22, func(p pair) uint64 { return p.Causes.Foreign }),
		cause("PINNED", 23, func(p pair) uint64 { return p.Causes.Pinned }),
		cause("NOROUTE", 24, func(p pair) uint64 { return p.Causes.NoRoute }),
	)
}
