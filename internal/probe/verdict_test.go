// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"strings"
	"testing"
	"time"

	"waymark/classes"
)

// Each case is the answers of one target or two, a probe a second: '.' for one
// after 10 ms, 's' after 500 ms, 'x' for none, 'c' for a link that lost its
// carrier; and when the uplink is down, by the same seconds.
var verdictCases = []struct {
	name, policy string
	answers      []string
	down         string // '-' while it is, '+' while it is not
}{
	{"three misses", "{icmp: [192.0.2.1], hold: 0s}", []string{"..xxx."}, "++++--"},
	{"three answers after them", "{icmp: [192.0.2.1], hold: 0s}", []string{"xxx...."}, "++---++"},
	{"misses that are not in a row", "{icmp: [192.0.2.1], hold: 0s}", []string{"xx.xx.xx."}, "+++++++++"},
	{"other thresholds", "{icmp: [192.0.2.1], down: 1, up: 2, hold: 0s}", []string{".x..x"}, "+--+-"},
	{"held", "{icmp: [192.0.2.1], hold: 6s}", []string{"xxx.........."}, "++------+++++"},
	{"held, and bad again by then", "{icmp: [192.0.2.1], hold: 6s}", []string{"xxx.....xx..."}, "++----------+"},
	{"one of two answers", "{icmp: [192.0.2.1, 192.0.2.2], hold: 0s}", []string{"xxxxxx", "......"}, "++++++"},
	{"none of two", "{icmp: [192.0.2.1, 192.0.2.2], hold: 0s}", []string{"xxxxxx", "...xxx"}, "+++++-"},
	{"back by the other", "{icmp: [192.0.2.1, 192.0.2.2], hold: 0s}", []string{"xxxxxxx", "xxx...."}, "++---++"},
	{"loss", "{icmp: [192.0.2.1], loss: 20%, hold: 0s}", []string{"..x..x..x..x"}, "+++++++++---"},
	{"loss within", "{icmp: [192.0.2.1], loss: 40%, hold: 0s}", []string{"..x..x..x..x"}, "++++++++++++"},
	{"loss at the limit, and one beyond", "{icmp: [192.0.2.1], loss: 20%, hold: 0s}", []string{"..........x....x....x....x....x....x..x."}, "++++++++++++++++++++++++++++++++++++++--"},
	{"loss, by more probes than are remembered", "{icmp: [192.0.2.1], loss: 20%, down: 50, hold: 0s}", []string{"..x..x..x..x..x..x.."}, "+++++++++++++++++++-"},
	{"latency", "{icmp: [192.0.2.1], latency: 200ms, hold: 0s}", []string{".....sssssss"}, "+++++++++---"},
	{"its link is lost", "{icmp: [192.0.2.1], hold: 0s}", []string{".c...."}, "+---++"},
	{"its link flaps", "{icmp: [192.0.2.1], hold: 6s}", []string{".c....c......."}, "+-----------++"},
}

func TestVerdict(t *testing.T) {
	for _, c := range verdictCases {
		policy, err := classes.Parse("p.yaml", []byte("uplinks: [{name: a, interface: eth0, probe: "+c.policy+"}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		v := verdict{policy: policy.Uplinks[0].Probe}
		for range c.answers {
			v.targets = append(v.targets, &target{Name: "icmp 192.0.2.1"})
		}
		var got strings.Builder
		now := time.Unix(1000, 0)
		for second := range c.answers[0] {
			for k, t := range v.targets {
				if c.answers[k][second] == 'c' {
					v.lose(now)
					continue
				}
				t.add(map[byte]time.Duration{'.': 10 * time.Millisecond, 's': 500 * time.Millisecond, 'x': lost}[c.answers[k][second]])
			}
			v.judge(now)
			now = now.Add(time.Second)
			if v.down != "" {
				got.WriteByte('-')
			} else {
				got.WriteByte('+')
			}
		}
		if got.String() != c.down {
			t.Errorf("%s: %v is %s, want %s", c.name, c.answers, got.String(), c.down)
		}
	}
}

// TestCountsGoOn has the probes of an uplink begin anew, as they do when its link
// was down: no count goes back.
func TestCountsGoOn(t *testing.T) {
	p := New()
	for n := range uint64(3) {
		r := &running{name: "lte", verdict: verdict{policy: &classes.Probe{Up: 1, Down: 1}, targets: []*target{{Name: "icmp 192.0.2.1"}}}}
		p.running["lte"] = r
		p.add(r, r.targets[0], lost, nil)
		p.add(r, r.targets[0], time.Millisecond, nil)
		if got := p.States()[0].Targets[0]; got.Sent != 2*(n+1) || got.Lost != n+1 {
			t.Errorf("%d were sent, %d of them lost, want %d and %d", got.Sent, got.Lost, 2*(n+1), n+1)
		}
		p = New(p.Counts()...) // as those of the next agent do
	}
}
