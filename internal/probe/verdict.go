// SPDX-License-Identifier: Apache-2.0

// Package probe finds out whether an uplink whose link is up leads anywhere.
package probe

import (
	"fmt"
	"time"

	"waymark/classes"
)

// window is how many of the last probes of a target its loss and its latency
// are taken over.
const window = 20

// target is what is known of one target.
type target struct {
	Name    string          // as the policy says it: "icmp 192.0.2.1"
	results []time.Duration // the last ones, newest last; lost for one without an answer
	misses  int             // in a row
	answers int             // in a row
	refuses string          // what is said in place of the last answer that did not come; "": nothing
}

// lost is in place of the time of an answer that did not come.
const lost = time.Duration(-1)

func (t *target) add(took time.Duration) {
	t.results = append(t.results, took)
	t.results = t.results[max(0, len(t.results)-window):]
	if took == lost {
		t.misses, t.answers = t.misses+1, 0
	} else {
		t.misses, t.answers = 0, t.answers+1
	}
}

// loss is the share of the last probes that were lost, in per cent, and
// latency the mean of those that were answered.
func (t *target) loss() (percent int, latency time.Duration) {
	n, sum := 0, time.Duration(0)
	for _, r := range t.results {
		if r == lost {
			n++
		} else {
			sum += r
		}
	}
	if answered := len(t.results) - n; answered > 0 {
		latency = sum / time.Duration(answered)
	}
	return 100 * n / max(1, len(t.results)), latency
}

// bad says why a target does not count as working; "" if it does. The limits
// for loss and latency need as many probes as would make it bad by misses, as far
// as so many are remembered.
func (t *target) bad(p *classes.Probe) string {
	percent, latency := t.loss()
	switch {
	case t.misses >= p.Down && t.refuses != "":
		return fmt.Sprintf("%s %s: %d probes lost", t.Name, t.refuses, t.misses)
	case t.misses >= p.Down:
		return fmt.Sprintf("%s does not answer: %d probes lost", t.Name, t.misses)
	case len(t.results) < min(window, max(p.Down, window/2)):
		return ""
	case p.Loss > 0 && percent > p.Loss:
		return fmt.Sprintf("%s: %d%% of the last %d probes lost", t.Name, percent, len(t.results))
	case p.Latency > 0 && latency > p.Latency:
		return fmt.Sprintf("%s: answers take %s", t.Name, latency.Round(time.Millisecond/10))
	}
	return ""
}

// verdict is what the probes of one uplink say.
type verdict struct {
	policy  *classes.Probe
	targets []*target
	down    string    // why it is down; "": it is not
	since   time.Time // of down, or of up
	cutAt   time.Time // the link's last loss of carrier: a hold begins with it anew
}

// judge takes up what the targets say at a moment, and tells whether the
// verdict changed.
func (v *verdict) judge(now time.Time) bool {
	if v.down == "" {
		reason := ""
		for _, t := range v.targets {
			bad := t.bad(v.policy)
			if bad == "" {
				return false
			}
			if reason == "" {
				reason = bad
			}
		}
		v.down, v.since = reason, now
		return true
	}
	if now.Sub(v.since) < v.policy.Hold || now.Sub(v.cutAt) < v.policy.Hold {
		return false
	}
	for _, t := range v.targets {
		if t.answers >= v.policy.Up && t.bad(v.policy) == "" {
			v.down, v.since = "", now
			return true
		}
	}
	return false
}

// lose takes up that the link lost its carrier at a moment, and tells whether the
// verdict changed.
func (v *verdict) lose(now time.Time) bool {
	v.cutAt = now
	for _, t := range v.targets {
		t.answers = 0
	}
	if v.down != "" {
		return false
	}
	v.down, v.since = "its link went down", now
	return true
}
