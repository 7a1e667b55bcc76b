// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"waymark/classes"
	"waymark/internal/plan"
)

// Uplink is one that is probed.
type Uplink struct {
	plan.Uplink
	Probe *classes.Probe
}

// State is what is known of one uplink that is probed.
type State struct {
	Uplink  string    `json:"uplink"`
	Down    string    `json:"down,omitempty"` // why it leads nowhere; "": it leads somewhere
	Since   time.Time `json:"since"`          // of that; zero: it was never otherwise
	Targets []Target  `json:"targets"`
}

// Target is what is known of one target.
type Target struct {
	Name    string        `json:"name"`              // "icmp 192.0.2.1"
	Bad     string        `json:"bad,omitempty"`     // why it does not count as working
	Loss    int           `json:"loss"`              // per cent of the last probes
	Latency time.Duration `json:"latency,omitempty"` // mean of the answered ones of them, in nanoseconds
	Sent    uint64        `json:"sent"`
	Lost    uint64        `json:"lost"`
}

// Probes are the probes of all uplinks. Its methods may be used by any
// goroutine.
type Probes struct {
	News <-chan struct{} // has an element when a verdict has changed

	mu      sync.Mutex
	news    chan struct{}
	running map[string]*running
	counts  map[counted]*count
}

// counted is a target of an uplink. What is counted of it goes on when its probes
// begin anew, for its link was down or its uplink's address is another.
type counted struct{ uplink, target string }

type count struct{ sent, lost uint64 }

// Count is what was counted of one target, probed now or not.
type Count struct {
	Uplink string `json:"uplink"`
	Target string `json:"target"`
	Sent   uint64 `json:"sent"`
	Lost   uint64 `json:"lost"`
}

// running is one uplink's.
type running struct {
	verdict
	name string    // of the uplink
	key  string    // of what it was begun with
	link int       // ifindex
	last time.Time // of any target's answer
	sign time.Time // last, as it was when the verdict became down; zero: there was none
	cut  bool      // the verdict became down for the link did
	stop context.CancelFunc
	done sync.WaitGroup
}

// New is no probes yet, which go on with what was counted before them.
func New(before ...Count) *Probes {
	news := make(chan struct{}, 1)
	p := &Probes{News: news, news: news, running: map[string]*running{}, counts: map[counted]*count{}}
	for _, c := range before {
		p.counts[counted{c.Uplink, c.Target}] = &count{c.Sent, c.Lost}
	}
	return p
}

// Follow probes these uplinks from now on, and no others. One that is probed
// already, in the same way, goes on. One whose link is down is down; when the
// link is back, its targets have to answer before it is up, and its hold has
// to be over. Of those that were not followed before, those in down are taken
// to be down.
func (p *Probes) Follow(uplinks []Uplink, down map[string]string) {
	p.mu.Lock()
	var ended []*running
	wanted := map[string]bool{}
	for _, u := range uplinks {
		wanted[u.Name] = true
		key := fmt.Sprint(u.Interface, u.Index, u.Up, u.Sources, u.Probe)
		old := p.running[u.Name]
		if old != nil && old.key == key {
			continue
		}
		r := &running{name: u.Name, key: key, link: u.Index, stop: func() {}}
		r.policy, r.down = u.Probe, down[u.Name]
		if old != nil {
			r.down, r.since, r.cutAt, r.last, r.sign, r.cut = old.down, old.since, old.cutAt, old.last, old.sign, old.cut
			ended = append(ended, old)
		}
		p.running[u.Name] = r
		if u.Up {
			p.begin(r, u)
		} else if r.down == "" {
			r.down, r.cut = "its link is down", true
			if old != nil {
				r.since = time.Now()
				p.tell()
			}
		}
	}
	for name, r := range p.running {
		if !wanted[name] {
			ended = append(ended, r)
			delete(p.running, name)
		}
	}
	p.mu.Unlock()
	for _, r := range ended {
		r.stop()
	}
	for _, r := range ended {
		r.done.Wait()
	}
}

// Close ends all probes.
func (p *Probes) Close() { p.Follow(nil, nil) }

func (p *Probes) begin(r *running, u Uplink) {
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	w := wayOf(u.Uplink)
	for _, a := range asks(u.Probe) {
		t := &target{Name: a.name}
		r.targets = append(r.targets, t)
		r.done.Add(1)
		go func() {
			defer r.done.Done()
			p.repeat(ctx, r, t, w, a.ask)
		}()
	}
}

// repeat asks one target, until it is told to stop.
func (p *Probes) repeat(ctx context.Context, r *running, t *target, w way, ask ask) {
	tick := time.NewTicker(r.policy.Interval)
	defer tick.Stop()
	var out sync.WaitGroup
	defer out.Wait()
	for {
		out.Add(1)
		go func() {
			defer out.Done()
			asked, done := context.WithTimeout(ctx, r.policy.Timeout)
			defer done()
			begun := time.Now()
			took := lost
			err := ask(asked, w)
			if err == nil {
				took = time.Since(begun)
			}
			if ctx.Err() == nil {
				p.add(r, t, took, err)
			}
		}()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Probes) add(r *running, t *target, took time.Duration, failed error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var said refusal
	errors.As(failed, &said)
	t.refuses = string(said)
	c := p.counted(r, t)
	c.sent++
	if t.add(took); took != lost {
		r.last = time.Now()
	} else {
		c.lost++
	}
	if r.judge(time.Now()) {
		if r.down != "" {
			r.sign, r.cut = r.last, false
		}
		p.tell()
	}
}

func (p *Probes) counted(r *running, t *target) *count {
	of := counted{r.name, t.Name}
	if p.counts[of] == nil {
		p.counts[of] = &count{}
	}
	return p.counts[of]
}

// LastSign is when a target of an uplink answered last before the probes found
// that it leads nowhere; zero: none ever did. cut says that it was its link that
// went down.
func (p *Probes) LastSign(uplink string) (sign time.Time, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.running[uplink]; r != nil {
		return r.sign, r.cut
	}
	return time.Time{}, false
}

// Lost takes up that a link lost its carrier, though it may be back by now. Of
// an uplink that is down already, the hold and the answers begin anew.
func (p *Probes) Lost(link int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.running {
		if r.link == link && r.lose(time.Now()) {
			r.cut = true
			p.tell()
		}
	}
}

func (p *Probes) tell() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// States are what is known of every uplink that is probed, by name.
func (p *Probes) States() (states []State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	states = []State{}
	for _, name := range slices.Sorted(maps.Keys(p.running)) {
		r := p.running[name]
		s := State{Uplink: name, Down: r.down, Since: r.since, Targets: []Target{}}
		for _, t := range r.targets {
			loss, latency := t.loss()
			c := p.counted(r, t)
			s.Targets = append(s.Targets, Target{Name: t.Name, Bad: t.bad(r.policy), Loss: loss, Latency: latency, Sent: c.sent, Lost: c.lost})
		}
		states = append(states, s)
	}
	return states
}

// Counts are what was counted of every target, by uplink and target.
func (p *Probes) Counts() (all []Count) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for of, c := range p.counts {
		all = append(all, Count{of.uplink, of.target, c.sent, c.lost})
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Uplink, b.Uplink), cmp.Compare(a.Target, b.Target))
	})
	return all
}

func wayOf(u plan.Uplink) way {
	w := way{device: u.Interface, source: map[bool]netip.Addr{}}
	for _, f := range plan.Families {
		if s := u.Sources[f]; s.IsValid() {
			w.source[f == plan.IPv4] = s.Addr()
		}
	}
	return w
}

// named is a target with its name.
type named struct {
	name string
	ask  ask
}

func asks(p *classes.Probe) (all []named) {
	for _, a := range p.ICMP {
		all = append(all, named{"icmp " + a.String(), icmp(a)})
	}
	for _, a := range p.TCP {
		all = append(all, named{"tcp " + a.String(), tcp(a)})
	}
	for _, a := range p.DNS {
		all = append(all, named{"dns " + a.String(), dns(a)})
	}
	for _, url := range p.HTTP {
		all = append(all, named{url, get(url)})
	}
	return all
}
