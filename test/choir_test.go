// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// A choir has a socket in each of some classes of thousandBy, and sends a datagram
// by each when it is told to, from all CPUs but one: the kernel has to hear of a
// carrier meanwhile.
type choir struct {
	voices []*crowd
	parts  [][]int // ports of each voice
	ports  map[uint16]bool
	sung   int           // the last song's number
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
	voices := max(1, runtime.NumCPU()-1)
	c := &choir{voices: make([]*crowd, voices), parts: make([][]int, voices), ports: map[uint16]bool{}, rest: time.Millisecond}
	for n := 0; n < thousand; n += every {
		c.ports[uint16(firstPort+n)] = true
		voice := len(c.ports) % voices
		c.parts[voice] = append(c.parts[voice], firstPort+n)
	}
	for k, part := range c.parts {
		args := []string{"be-a-choir", swallowed.String()}
		for _, port := range part {
			args = append(args, fmt.Sprint(port))
		}
		c.voices[k] = s.hire(t, s.Host, "", args...)
		c.voices[k].answer(t)
	}
	return c
}

// A song is what one voice of a choir sent once, a datagram of each of its ports in turn.
type song struct {
	number     int // of bytes that each datagram carries
	ports      []int
	begun, end time.Time
	lost       map[int]bool // ports whose datagrams have not come where they should
}

// sing has each of its sockets send.
func (c *choir) sing() (songs []song, err error) {
	c.sung = c.sung%longestSong + 1
	for _, v := range c.voices {
		if _, err := fmt.Fprintln(v.in, c.sung); err != nil {
			return nil, err
		}
	}
	for k, v := range c.voices {
		line, err := v.out.ReadString('\n')
		if err != nil {
			return nil, err
		}
		var begun, end int64
		if _, err := fmt.Sscan(line, &begun, &end); err != nil {
			return nil, err
		}
		one := song{c.sung, c.parts[k], time.Unix(0, begun), time.Unix(0, end), map[int]bool{}}
		for _, port := range one.ports {
			one.lost[port] = true
		}
		songs = append(songs, one)
	}
	return songs, nil
}

// isSung tells a choir's packets from others.
func (c *choir) isSung(p lab.Packet) bool {
	return p.Proto == unix.IPPROTO_UDP && c.ports[p.Dst.Port()]
}

// heard takes a packet that came where it should out of what songs lost.
func heard(songs []song, p lab.Packet) {
	const headers = 20 + 8
	for _, one := range songs {
		if one.number == p.Len-headers {
			delete(one.lost, int(p.Dst.Port()))
		}
	}
}

// lastLost is when the last packet was sent that could have gone by a router and
// did not; zero if there is none.
func lastLost(songs []song, router int) (last time.Time) {
	for _, one := range songs {
		each := one.end.Sub(one.begun) / time.Duration(len(one.ports))
		for k, port := range one.ports {
			if sent := one.begun.Add(time.Duration(k) * each); one.lost[port] && sent.After(last) && (router == byB || !isClosed(port)) {
				last = sent
			}
		}
	}
	return last
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

// longestSong is how many bytes a datagram carries at most.
const longestSong = 1000

// singTogether is a worker that has a socket for each port of an address, and sends a
// datagram by each for every line that it is told: of so many bytes. It says when it
// began and ended. One that is refused, or finds no neighbour, is what is measured.
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
	var datagram [longestSong]byte
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		bytes, err := strconv.Atoi(asked.Text())
		if err != nil {
			return err
		}
		begun := time.Now()
		for k, voice := range voices {
			_, _ = voice.WriteToUDPAddrPort(datagram[:bytes], at[k])
		}
		fmt.Println(begun.UnixNano(), time.Now().UnixNano())
	}
	return nil
}
