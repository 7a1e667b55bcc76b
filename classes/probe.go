// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Probe says how an uplink whose link is up is seen to lead nowhere. All
// targets are asked every interval, by the uplink and by no other way; it
// works as long as one of them answers.
type Probe struct {
	ICMP     []netip.Addr     // echo requests
	TCP      []netip.AddrPort // a connection that is accepted, or refused by the target itself
	DNS      []netip.AddrPort // a query for the root's name servers, that is answered
	HTTP     []string         // http:// URLs whose host is an address: GET, a status below 500
	Interval time.Duration    // at least 100 ms
	Timeout  time.Duration    // after which an answer does not count; the interval, but at most a second, and at least twice the latency, when the policy is silent
	Down     int              // misses in a row that make a target bad, of all targets the uplink
	Up       int              // answers in a row of one target that make the uplink good again
	Hold     time.Duration    // an uplink that was bad, or whose link was lost since, stays so for at least that long
	Loss     int              // per cent of the last probes beyond which a target is bad; 0: any
	Latency  time.Duration    // mean of the last probes beyond which a target is bad; 0: any
	Pos      Position
}

// What a probe says when it is silent.
const (
	defaultInterval  = time.Second
	defaultThreshold = 3
	defaultHold      = 30 * time.Second
)

var probeFields = []field[Probe]{
	{key: "icmp", example: "[192.0.2.1]", read: func(d *decoder, p *Probe, n *node) { p.ICMP = each(d, n, (*decoder).target) }},
	{key: "tcp", example: `["192.0.2.2:443"]`, read: func(d *decoder, p *Probe, n *node) { p.TCP = each(d, n, portTarget(0)) }},
	{key: "dns", example: "[192.0.2.53]", read: func(d *decoder, p *Probe, n *node) { p.DNS = each(d, n, portTarget(53)) }},
	{key: "http", example: "[http://192.0.2.2/]", read: func(d *decoder, p *Probe, n *node) { p.HTTP = each(d, n, (*decoder).urlTarget) }},
	{key: "interval", example: "1s", read: func(d *decoder, p *Probe, n *node) {
		p.Interval = d.duration(n, 100*time.Millisecond, time.Hour)
	}},
	{key: "timeout", example: "300ms", read: func(d *decoder, p *Probe, n *node) { p.Timeout = d.duration(n, time.Millisecond, time.Minute) }},
	{key: "down", example: "3", read: func(d *decoder, p *Probe, n *node) { p.Down = int(d.number(n, "a number of probes", 1, 100)) }},
	{key: "up", example: "3", read: func(d *decoder, p *Probe, n *node) { p.Up = int(d.number(n, "a number of probes", 1, 100)) }},
	{key: "hold", example: "30s", read: func(d *decoder, p *Probe, n *node) { p.Hold = d.duration(n, 0, 24*time.Hour) }},
	{key: "loss", example: "20%", read: func(d *decoder, p *Probe, n *node) { p.Loss = d.percent(n) }},
	{key: "latency", example: "200ms", read: func(d *decoder, p *Probe, n *node) {
		p.Latency = d.duration(n, time.Millisecond, time.Minute)
	}},
}

func (d *decoder) probe(u *Uplink, n *node) {
	p := Probe{Interval: defaultInterval, Down: defaultThreshold, Up: defaultThreshold, Hold: defaultHold, Pos: d.pos(n)}
	before := len(d.problems)
	fields(d, n, "a probe", probeFields, &p)
	if len(p.ICMP)+len(p.TCP)+len(p.DNS)+len(p.HTTP) == 0 && len(d.problems) == before {
		d.problem(n, "a probe without a target", "add icmp: [ADDRESS], tcp: [\"ADDRESS:PORT\"], dns: [ADDRESS] or http: [http://ADDRESS/], of something beyond the uplink's own router")
	}
	if p.Timeout == 0 {
		p.Timeout = p.usualTimeout()
	}
	if p.Latency >= p.Timeout && len(d.problems) == before {
		d.problem(n, fmt.Sprintf("latency: %s is no limit with timeout: %s, after which an answer is lost", p.Latency, p.Timeout), fmt.Sprintf("write timeout: %s, or a lower latency", 2*p.Latency))
	}
	u.Probe = &p
}

// usualTimeout leaves room for answers beyond the limit, which else would be lost
// and not late.
func (p *Probe) usualTimeout() time.Duration {
	return max(min(p.Interval, time.Second), 2*p.Latency)
}

// duration reads one as Go writes them, 100ms or 1m30s.
func (d *decoder) duration(n *node, lo, hi time.Duration) time.Duration {
	text, ok := d.scalar(n, "a duration such as 300ms")
	if !ok {
		return lo
	}
	v, err := time.ParseDuration(text)
	switch {
	case err != nil:
		d.problem(n, fmt.Sprintf("%q is not a duration", text), "write it like 300ms, 5s or 1m30s")
	case v < lo || v > hi:
		d.problem(n, fmt.Sprintf("%s is out of range", text), fmt.Sprintf("write a duration from %s to %s", lo, hi))
	default:
		return v
	}
	return lo
}

// percent reads 1% to 100%.
func (d *decoder) percent(n *node) int {
	text, ok := d.scalar(n, "a share such as 20%")
	if !ok {
		return 0
	}
	v, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || !strings.HasSuffix(text, "%") || v < 1 || v > 100 {
		d.problem(n, fmt.Sprintf("%q is not a share", text), "write it like 20%, from 1% to 100%")
		return 0
	}
	return v
}

// String returns the probe as a policy says it, in one line, its defaults
// left out.
func (p *Probe) String() string {
	var said []string
	add := func(key, value string) {
		if value != "" {
			said = append(said, key+": "+value)
		}
	}
	unless := func(usual, value any) string {
		if usual == value {
			return ""
		}
		return fmt.Sprint(value)
	}
	add("icmp", list(p.ICMP, func(a netip.Addr) string { return Quote(a.String()) }))
	add("tcp", list(p.TCP, func(a netip.AddrPort) string { return Quote(a.String()) }))
	add("dns", list(p.DNS, func(a netip.AddrPort) string { return Quote(a.String()) }))
	add("http", list(p.HTTP, Quote))
	add("interval", unless(defaultInterval, p.Interval))
	add("timeout", unless(p.usualTimeout(), p.Timeout))
	add("down", unless(defaultThreshold, p.Down))
	add("up", unless(defaultThreshold, p.Up))
	add("hold", unless(defaultHold, p.Hold))
	if p.Loss > 0 {
		add("loss", fmt.Sprintf("%d%%", p.Loss))
	}
	add("latency", unless(time.Duration(0), p.Latency))
	return "{" + strings.Join(said, ", ") + "}"
}
