// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

const filtered = twoUplinks + `
classes:
  - {name: tuple, route: [b], match: [{dst: 203.0.113.3}]}
  - {name: group, route: [b, a], match: [{cgroup: app.slice}]}
  - {name: closed, route: [b], otherwise: unreachable, match: [{cgroup: closed.slice}]}
  - {name: shared, route: {a: 1, b: 1}, match: [{cgroup: shared.slice}]}
`

// TestStrictFilter has a host whose reverse path filter is strict, and stays so:
// of all that classes send and are asked, before, while and after uplinks fail,
// classes change their route and main its default, nothing is dropped by it. A
// neighbour that takes an address from behind another uplink is.
func TestStrictFilter(t *testing.T) {
	for setting, name := range map[int]string{1: "strict", 2: "loose"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, lab.Options{RPFilter: setting})
			s.cgroups(t, "app.slice", "closed.slice", "shared.slice")
			s.apply(t, filtered)
			s.reverseFilterOf(t, "up-a", strconv.Itoa(setting))
			s.reverseFilterOf(t, "up-b", strconv.Itoa(setting))
			s.listen(t, "", 200)
			s.listen(t, "app.slice", 210)
			open := must[*lab.Client](t)(s.Host.Open(within(time.Minute)(in("app.slice", v4.job(lab.TCP, 1)))))
			s.unfiltered(t, "all is as it was applied", byB)
			s.lives(t, open)

			s.apply(t, strings.Replace(filtered, "route: [b, a]", "route: [a, b]", 1))
			s.unfiltered(t, "the class's route is another", byA)
			s.lives(t, open)
			s.apply(t, filtered)

			s.check(t, s.Unplug(byB))
			soon(t, "group goes by a", func() error {
				r, err := s.Host.Run(in("app.slice", v4.job(lab.UDP, 1)))
				if err == nil && r.Local.Addr() != s.Uplink(byA).Address4 {
					err = fmt.Errorf("it goes from %s", r.Local.Addr())
				}
				return err
			})
			s.isAnswered(t, "b has no link", in("app.slice", v4.job(lab.TCP, 1)))
			s.check(t, s.Plug(byB))
			s.unfiltered(t, "b is back", byB)
			s.lives(t, open)

			s.shell(t, "ip route replace default via 10.0.2.1 dev up-b metric 50")
			s.unfiltered(t, "main's default is by b", byB)
			s.shell(t, "ip route del default via 10.0.2.1 dev up-b metric 50")
			s.lives(t, open)
			s.check(t, open.Close())

			before := s.dropsByReverseFilter(t)
			s.inject(t, s.Routers[byB], "down", datagram{from: netip.MustParseAddr("10.0.1.77"), to: s.Uplink(byB).Address4, dport: 9}.bytes())
			soon(t, "the filter sees what is from behind another uplink", func() error {
				if drops := s.dropsByReverseFilter(t) - before; drops != map[int]int{1: 1, 2: 0}[setting] {
					return fmt.Errorf("it dropped %d packets", drops)
				}
				return nil
			})
		})
	}
}

// unfiltered has the classes send, and the host asked, by everything there is.
func (s *site) unfiltered(t *testing.T, when string, group int) {
	t.Helper()
	before := s.dropsByReverseFilter(t)
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo, lab.RawPing} {
		for _, cgroup := range []string{"", "app.slice", "closed.slice", "shared.slice"} {
			s.isAnswered(t, when, in(cgroup, v4.job(kind, 1)))
		}
		s.isAnswered(t, when, v4.job(kind, 3))
		for uplink := range s.Routers {
			s.isAnswered(t, when, from(s.Uplink(uplink).Address4, in("app.slice", v4.job(kind, 2))))
		}
	}
	for uplink := range s.Routers {
		for _, port := range []uint16{200, 201, 210, 211} {
			kind := map[uint16]lab.Kind{0: lab.TCP, 1: lab.UDP}[port%10]
			s.answers(t, s.Far, lab.Job{Kind: kind, To: []netip.AddrPort{netip.AddrPortFrom(s.Uplink(uplink).Address4, port)}}, uplink)
		}
		s.answers(t, s.Far, lab.Job{Kind: lab.Ping, To: []netip.AddrPort{netip.AddrPortFrom(s.Uplink(uplink).Address4, 0)}}, uplink)
		s.inject(t, s.Routers[uplink], "down",
			datagram{from: netip.IPv4Unspecified(), to: netip.MustParseAddr("255.255.255.255"), dport: 68}.bytes(),
			datagram{from: s.Uplink(uplink).Gateway4, to: netip.MustParseAddr("255.255.255.255"), dport: 68}.bytes(),
			datagram{from: s.Uplink(uplink).Gateway4, to: netip.MustParseAddr("224.0.0.251"), dport: 5353}.bytes())
	}
	s.leaves(t, in("app.slice", v4.job(lab.TCP, 1)), group)
	if drops := s.dropsByReverseFilter(t) - before; drops != 0 {
		t.Errorf("%s: the filter dropped %d packets", when, drops)
	}
}

// isAnswered has the host send, and get its answer.
func (s *site) isAnswered(t *testing.T, when string, job lab.Job) {
	t.Helper()
	if r := must[lab.Result](t)(s.Host.Run(within(time.Minute)(job))); r.Err() != nil {
		t.Errorf("%s: %s from %s of %q: %v", when, job.Kind, job.Bind, job.Cgroup, r.Err())
	}
}

// lives has an open connection send, and get its answer.
func (s *site) lives(t *testing.T, c *lab.Client) {
	t.Helper()
	if r := must[lab.Result](t)(c.Send(1, 16)); r.Err() != nil {
		t.Errorf("an open connection: %v", r.Err())
	}
}

// dropsByReverseFilter is how many packets the host's filters have dropped.
func (s *site) dropsByReverseFilter(t *testing.T) (n int) {
	t.Helper()
	s.check(t, s.Host.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/netstat")
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		at := slices.Index(strings.Fields(lines[0]), "IPReversePathFilter")
		if at < 0 {
			return fmt.Errorf("the kernel does not count what filters drop: %s", lines[0])
		}
		n, err = strconv.Atoi(strings.Fields(lines[1])[at])
		return err
	}))
	return n
}

// TestLoosenedFilter has hosts where strict filtering cannot stay. The plan says
// why; what is wanted is there, and is not when it is made strict by hand.
func TestLoosenedFilter(t *testing.T) {
	toB := netip.AddrPortFrom(netip.MustParseAddr("10.0.2.2"), 200)
	for _, c := range []struct {
		name, why string
		options   lab.Options
		before    string // what the host is told before the apply
		after     string // and after it
		undo      string // and at the end
		policy    string
		wanted    func(s *site, once func(lab.Job) lab.Job) (lab.Result, error)
	}{
		{"forwards", "this host forwards", lab.Options{LAN: true, Forward: true}, "", "", "",
			strings.Replace(twoUplinks, `"2001:db8:2::1"]`, `"2001:db8:2::1"], snat: true`, 1) + "classes: [{name: x, route: [b], match: [{iif: br-lan}]}]\n",
			func(s *site, once func(lab.Job) lab.Job) (lab.Result, error) {
				return s.LAN.Run(once(v4.job(lab.UDP, 1)))
			}},
		{"an address of no uplink's", "from 198.51.100.7, which is no uplink's", lab.Options{}, "ip addr add 198.51.100.7/32 dev lo", "", "ip addr del 198.51.100.7/32 dev lo;", filtered,
			func(s *site, once func(lab.Job) lab.Job) (lab.Result, error) {
				return s.Host.Run(in("app.slice", from(v4.homeless(), once(v4.job(lab.UDP, 1)))))
			}},
		{"a leased address", "its address is leased", lab.Options{}, "ip addr change 10.0.2.2/24 dev up-b valid_lft 3600 preferred_lft 3600", "ip addr add 10.0.2.9/24 dev up-b",
			"ip addr del 10.0.2.9/24 dev up-b; ip addr change 10.0.2.2/24 dev up-b valid_lft forever preferred_lft forever;", filtered,
			func(s *site, once func(lab.Job) lab.Job) (lab.Result, error) {
				return s.Host.Run(in("app.slice", from(netip.MustParseAddr("10.0.2.9"), once(v4.job(lab.UDP, 1)))))
			}},
		{"its address is a class's", "another rule of ours than the uplink's is for what comes from 10.0.2.2", lab.Options{}, "", "", "",
			twoUplinks + "classes: [{name: x, route: [a], match: [{src: 10.0.2.2}]}]\n",
			func(s *site, once func(lab.Job) lab.Job) (lab.Result, error) {
				return s.Far.Run(once(lab.Job{Kind: lab.UDP, To: []netip.AddrPort{toB}}))
			}},
		{"probes", "while it is withdrawn", lab.Options{}, "", "ip route del default table 7001", "",
			strings.Replace(twoUplinks, `"2001:db8:2::1"]`, `"2001:db8:2::1"], probe: {icmp: [203.0.113.1]}`, 1) + "classes: [{name: x, route: [b], match: [{uid: 1}]}]\n",
			func(s *site, once func(lab.Job) lab.Job) (lab.Result, error) {
				probe := from(s.Uplink(byB).Address4, once(v4.job(lab.UDP, 1)))
				probe.Device = "up-b"
				return s.Host.Run(probe)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.options.RPFilter = 1
			s := newSite(t, c.options)
			s.cgroups(t, "app.slice", "closed.slice", "shared.slice")
			whole := netip.PrefixFrom(v4.homeless(), 32)
			addRoute(t, s.Routers[byB], whole, s.Uplink(byB).Address4)
			addRoute(t, s.Far, whole, netip.MustParseAddr("10.1.2.1"))
			s.mark(t)
			s.shell(t, ":;"+c.before)
			if text := s.ok(t, append([]string{"plan"}, s.write(t, c.policy)...)...); !strings.Contains(text, "up-b/rp_filter=2") || !strings.Contains(text, "would drop what is wanted: ") || !strings.Contains(text, c.why) {
				t.Errorf("the plan does not say %q:\n%s", c.why, text)
			}
			s.apply(t, c.policy)
			s.shell(t, ":;"+c.after)
			must[*lab.Server](t)(s.Host.Serve(200))
			if r := must[lab.Result](t)(c.wanted(s, within(time.Minute))); r.Err() != nil {
				t.Errorf("with loose filters: %v", r.Err())
			}
			s.shell(t, "echo 1 >/proc/sys/net/ipv4/conf/up-b/rp_filter")
			before := s.dropsByReverseFilter(t)
			if r := must[lab.Result](t)(c.wanted(s, within(time.Second))); r.Err() == nil || s.dropsByReverseFilter(t) == before {
				t.Errorf("with strict filters: %v, and %d packets were dropped", r.Err(), s.dropsByReverseFilter(t)-before)
			}
			s.shell(t, c.undo+":")
		})
	}
}

// within has a job send once, and wait so long for what comes back.
func within(timeout time.Duration) func(lab.Job) lab.Job {
	return func(job lab.Job) lab.Job {
		job.Count, job.Size, job.Timeout = 1, 16, timeout
		return job
	}
}

// TestFilterFollowsThePlan has an apply loosen a strict filter and give it back
// while a peer asks without a pause: no question is dropped.
func TestFilterFollowsThePlan(t *testing.T) {
	s := newSite(t, lab.Options{RPFilter: 1})
	s.cgroups(t, "app.slice", "closed.slice", "shared.slice")
	crossed := filtered + "  - {name: crossed, route: [a], match: [{src: 10.0.2.2}]}\n"
	s.apply(t, filtered)
	s.listen(t, "", 200)
	before := s.dropsByReverseFilter(t)
	stop, asked := make(chan bool), make(chan error)
	go func() {
		c, err := s.Far.Open(lab.Job{Kind: lab.UDP, To: []netip.AddrPort{netip.AddrPortFrom(s.Uplink(byB).Address4, 201)}, NoReply: true})
		for err == nil {
			select {
			case <-stop:
				asked <- c.Close()
				return
			default:
				_, err = c.Send(10, 16)
			}
		}
		asked <- err
	}()
	for range 3 {
		s.apply(t, crossed)
		s.reverseFilterOf(t, "up-b", "2")
		s.apply(t, filtered)
		s.reverseFilterOf(t, "up-b", "1")
	}
	close(stop)
	s.check(t, <-asked)
	if drops := s.dropsByReverseFilter(t) - before; drops != 0 {
		t.Errorf("the filter dropped %d packets", drops)
	}
}

// TestFilterIsGivenBack has somebody make the filters of all interfaces strict, and
// change their mind; and then loosen one for a reason of their own.
func TestFilterIsGivenBack(t *testing.T) {
	s := newSite(t, lab.Options{LAN: true, Forward: true})
	s.cgroups(t, "app.slice", "closed.slice", "shared.slice")
	for _, c := range []struct{ device, value, want string }{
		{"all", "0", "0"}, {"all", "1", "2"}, {"all", "0", "0"}, {"up-b", "2", "2"}, {"up-b", "0", "0"},
	} {
		s.shell(t, "sysctl -qw net.ipv4.conf."+c.device+".rp_filter="+c.value)
		s.apply(t, filtered)
		s.reverseFilterOf(t, "up-b", c.want)
	}
}

func (s *site) reverseFilterOf(t *testing.T, device, want string) {
	t.Helper()
	if got := must[string](t)(s.Host.ReadSysctl("net.ipv4.conf." + device + ".rp_filter")); got != want {
		t.Errorf("the filter of %s is %s, want %s", device, got, want)
	}
}
