// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// failing has a thousand classes prefer b, which is probed ten times a second.
func failing(hold string) string {
	return thousandBy("  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"], probe: {icmp: [203.0.113.1], interval: 100ms, hold: " + hold + "}}\n")
}

// thousandBy is a policy of a thousand classes that prefer an uplink b. Every
// tenth is not to leave by another.
func thousandBy(uplink string) string {
	var b strings.Builder
	b.WriteString("mark: {mask: 0xb73f0000}\nuplinks:\n" + uplinkA + uplink + "classes:\n")
	for n := range thousand {
		route := "route: [b, a]"
		if isClosed(firstPort + n) {
			route = "route: [b], otherwise: unreachable"
		}
		fmt.Fprintf(&b, "  - {name: class-%d, %s, match: [{proto: [tcp, udp], dport: %d}]}\n", n, route, firstPort+n)
	}
	return b.String()
}

// isClosed tells whether thousandBy has no other way for what goes to a port.
func isClosed(port int) bool { return port%10 == 9 }

// TestConvergence measures how long classes of a thousand are without a way when
// their uplink fails, from the failure to the first packet of the last of them at
// the other router: a gateway that leads nowhere, found by probes; and a cable
// that is pulled, with no agent at all. A thousand packets take their own time,
// which is measured beside it, with nothing broken. Figures are for those who
// read the log; that the classes get there, every time, and that those which have
// no other way are never there, is what is tested.
func TestConvergence(t *testing.T) {
	rounds := many(3, 100)
	t.Run("carrier", func(t *testing.T) {
		s := newSite(t, lab.Options{})
		c := s.aThousand(t, func() { s.apply(t, failing("0s")) })
		s.converges(t, c, rounds, "carrier lost, no agent", func(broken bool) { s.pull(t, byB, broken) })
	})
	t.Run("gateway", func(t *testing.T) {
		s := newSite(t, lab.Options{})
		var a *agentRun
		c := s.aThousand(t, func() { a = s.agent(t, failing("0s")) })
		c.rest = 5 * time.Millisecond
		soon(t, "b answers", func() error {
			if r := s.record(t); r == nil || len(r.Probes) == 0 || r.Probes[0].Targets[0].Latency == 0 {
				return fmt.Errorf("the agent says %+v", r)
			}
			return nil
		})
		s.converges(t, c, rounds, "gateway dead behind a live link", func(broken bool) { s.dead(t, byB, broken) })
		s.turned(t, a, "gateway", rounds)
		s.converges(t, c, 1, "carrier lost, with an agent", func(broken bool) { s.pull(t, byB, broken) })
		s.turned(t, a, "carrier", 1)
	})
}

// aThousand has classes of failing sing, beside ten thousand open flows in the long form.
func (s *site) aThousand(t *testing.T, apply func()) *choir {
	t.Helper()
	s.liveNowhere(t)
	s.swallow(t)
	apply()
	s.openFlowsOf(t, many(0, tenThousand))
	return s.choir(t, many(49, 1))
}

// pull pulls an uplink's cable, or plugs it.
func (s *site) pull(t *testing.T, router int, out bool) {
	t.Helper()
	if out {
		s.check(t, s.Unplug(router))
	} else {
		s.check(t, s.Plug(router))
	}
}

// turned waits until so many failures of b were measured inside, by their cause. On
// a machine that is busy, probes may find more of them.
func (s *site) turned(t *testing.T, a *agentRun, cause string, times int) {
	t.Helper()
	soon(t, "failures of b by "+cause+" are measured", func() error {
		if n := strings.Count(a.logged(), `"classes leave by another uplink" uplink=b cause=`+cause); n < times {
			return fmt.Errorf("%d were, want at least %d", n, times)
		}
		return nil
	})
	for _, turn := range s.metered(t).Turns {
		if turn.Uplink == "b" && turn.Cause == cause && turn.Took.Count >= uint64(times) {
			t.Logf("measured inside, %s: mean %.3f ms", cause, 1e3*turn.Took.Sum/float64(turn.Took.Count))
			return
		}
	}
	t.Errorf("the meter does not say that b failed %d times by its %s", times, cause)
}

func (s *site) check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// converges breaks b again and again, and says how long it took each time until
// every class had sent by a, and how long they take to send by b.
func (s *site) converges(t *testing.T, c *choir, rounds int, what string, breaks func(bool)) {
	t.Helper()
	var one, all, whole []time.Duration
	for range rounds {
		s.arrivesBy(t, c, byB)
		begun := time.Now()
		_, last := s.arrivesBy(t, c, byB)
		whole = append(whole, last.Sub(begun))
		breaks(true)
		begun = time.Now()
		first, last := s.arrivesBy(t, c, byA)
		one, all = append(one, first.Sub(begun)), append(all, last.Sub(begun))
		breaks(false)
	}
	s.arrivesBy(t, c, byB)
	t.Logf("%s: a class sends by a after %s; all after %s; with nothing broken after %s", what, spread(one), spread(all), spread(whole))
}

// arrivesBy has the choir sing until a packet of each class that may go by a router
// has passed it, and returns when the first did, and the last.
func (s *site) arrivesBy(t *testing.T, c *choir, router int) (first, last time.Time) {
	t.Helper()
	s.drain(t) // what was sent before is no news
	seen := map[uint16]bool{}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(c.rest) {
		s.check(t, c.sing())
		at := s.collect(t, func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_UDP && c.ports[p.Dst.Port()] })
		for _, p := range at[byA] {
			if isClosed(int(p.Dst.Port())) {
				t.Fatalf("router a got %s, of a class that may not leave there", p)
			}
		}
		for _, p := range at[router] {
			if port := p.Dst.Port(); !seen[port] {
				seen[port], last = true, p.Time
			}
			if first.IsZero() {
				first = p.Time
			}
		}
		if len(seen) == c.wanted(router) {
			return first, last
		}
	}
	t.Fatalf("%d of %d classes go by router %d", len(seen), c.wanted(router), router)
	return first, last
}

// A choir has a socket in each of some classes of thousandBy, and sends a datagram
// by each when it is told to, from all CPUs but one: the kernel has to hear of a
// carrier meanwhile.
type choir struct {
	voices []*crowd
	ports  map[uint16]bool
	rest   time.Duration // between two songs: where there is none, the kernel hears of a carrier late
}

// swallowed is an address whose packets end in the routers: what is done with them
// from there on would be done in the time of who sends them.
var swallowed = netip.MustParseAddr("203.0.113.250")

func (s *site) swallow(t *testing.T) {
	t.Helper()
	for _, r := range s.Routers {
		s.check(t, r.Handle().RouteAdd(&netlink.Route{Dst: ipNet(netip.PrefixFrom(swallowed, swallowed.BitLen())), Type: unix.RTN_BLACKHOLE}))
	}
}

// choir has one class in so many. What it sends has to be swallowed.
func (s *site) choir(t *testing.T, every int) *choir {
	t.Helper()
	c := &choir{voices: make([]*crowd, max(1, runtime.NumCPU()-1)), ports: map[uint16]bool{}, rest: time.Millisecond}
	args := make([][]string, len(c.voices))
	for n := 0; n < thousand; n += every {
		c.ports[uint16(firstPort+n)] = true
		voice := len(c.ports) % len(args)
		args[voice] = append(args[voice], fmt.Sprint(firstPort+n))
	}
	for k := range c.voices {
		c.voices[k] = s.hire(t, s.Host, "", append([]string{"be-a-choir", swallowed.String()}, args[k]...)...)
		c.voices[k].answer(t)
	}
	return c
}

// sing has each of its sockets send.
func (c *choir) sing() error {
	for _, v := range c.voices {
		if _, err := io.WriteString(v.in, "sing\n"); err != nil {
			return err
		}
	}
	for _, v := range c.voices {
		if _, err := v.out.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

// wanted is how many of its classes may go by a router.
func (c *choir) wanted(router int) (n int) {
	for port := range c.ports {
		if router == byB || !isClosed(int(port)) {
			n++
		}
	}
	return n
}

// singTogether is a worker that has a socket for each port of an address, and sends a
// datagram by each for every line that it is told. One that is refused, or finds
// no neighbour, is what is measured.
func singTogether(args []string) error {
	to, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	ports := args[1:]
	voices, at := make([]*net.UDPConn, len(ports)), make([]netip.AddrPort, len(ports))
	for k, text := range ports {
		if voices[k], err = net.ListenUDP("udp4", nil); err != nil {
			return err
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return err
		}
		at[k] = netip.AddrPortFrom(to, uint16(port))
	}
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); fmt.Println("sung") {
		for k, voice := range voices {
			_, _ = voice.WriteToUDPAddrPort([]byte{0}, at[k])
		}
	}
	return nil
}

const tenThousand = 10_000

// liveNowhere gives the host an address that lives on no uplink, and that the far
// server reaches by a.
func (s *site) liveNowhere(t *testing.T) {
	t.Helper()
	whole := netip.PrefixFrom(v4.homeless(), 32)
	addAddress(t, s.Host, "lo", whole)
	addRoute(t, s.Routers[byA], whole, s.Uplink(byA).Address4)
	addRoute(t, s.Far, whole, netip.MustParseAddr("10.1.1.1"))
}

// openFlowsOf has so many connections open in classes of thousandBy, half of them
// with b's own address, half with one of no uplink's.
func (s *site) openFlowsOf(t *testing.T, n int) {
	t.Helper()
	const each = 2500
	for k := range n / each {
		port := fmt.Sprint(firstPort + k)
		s.worker(t, s.Far, "", "be-a-crowd-of-servers", port)
		from := s.Uplink(byB).Address4
		if k%2 == 1 {
			from = v4.homeless()
		}
		s.worker(t, s.Host, "", "be-a-crowd", from.String(), v4.service(1).Addr().String()+":"+port, fmt.Sprint(each))
	}
}

// spread is a distribution in words.
func spread(d []time.Duration) string {
	slices.Sort(d)
	at := func(q float64) time.Duration {
		return d[min(len(d)-1, int(q*float64(len(d))))].Round(time.Microsecond)
	}
	return fmt.Sprintf("median %s, p99 %s, worst %s of %d", at(0.5), at(0.99), at(1), len(d))
}
