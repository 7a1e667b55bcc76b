// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strconv"
	"strings"

	"waymark/loader"
)

var ruleFamilies = []Family{
	counter("waymark_match_hits_total", "Sockets, datagrams of sockets that are not connected, and forwarded packets that the match won.", []string{"class", "match"}, matchHits),
	counter("waymark_rule_packets_total", "Packets of the class that left by the uplink of the ip rule's table for the rule's sake, with those that were bound to it; of a rule for an address these alone.", []string{"family", "priority", "rule", "class"}, rulePackets),
}

const (
	mostMatches = 4096     // series of matches; the hits of those after them are added up by class
	otherMatch  = "others" // is what they are called
	longest     = 160      // bytes of a match; longer ones are cut, and tell their place in the policy
)

// matchHits adds up matches that read the same.
func matchHits(in *input, s *series) {
	type label struct{ class, match string }
	at := make(map[label]int, len(sampled(in).Lines))
	for i := range sampled(in).Lines {
		l := &in.sample.Lines[i]
		key := label{l.Class, otherMatch}
		if i < mostMatches {
			key.match = matchText(l)
		}
		if k, known := at[key]; known {
			s.numbers[k] += float64(l.Hits)
			continue
		}
		at[key] = s.used
		s.count(l.Hits, key.class, key.match)
	}
}

func matchText(l *loader.LineSample) string {
	if len(l.Text) <= longest {
		return l.Text
	}
	return strings.ToValidUTF8(l.Text[:longest], "") + "... (" + l.Where + ")"
}

// rulePackets leaves out the rules that no uplink's table is behind: what
// they decide is not counted. A rule's own number would go back when a class
// leaves it, so each class has its own.
func rulePackets(in *input, s *series) {
	tables := map[uint32]bool{}
	for _, u := range sampled(in).Uplinks {
		tables[u.Table] = true
	}
	for i := range sampled(in).Rules {
		r := &in.sample.Rules[i]
		if !tables[r.Rule.Table] {
			continue
		}
		priority := strconv.FormatUint(uint64(r.Rule.Priority), 10)
		for _, c := range r.Classes {
			s.count(c.Packets, familyName[r.Rule.Family/6], priority, r.Text, c.Class)
		}
	}
}
