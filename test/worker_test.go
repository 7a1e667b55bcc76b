// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// A worker is this program as another process, for what a laboratory's
// client has no kind of socket for.
var workers = map[string]func(args []string) error{
	"be-an-echo":    echoPlainly,
	"be-everywhere": beEverywhere,
	"be-classed":    beClassed,
	"be-a-raw-one":  sendRaw,
	"be-a-ring":     sendByRing,
	"be-a-stranger": sendMarked,
	"be-a-slow-one": sendLater,
	"be-odd":        beOdd,
	"be-multipath":  beMultipath,
	"be-a-meddler":  deleteRule,
	"be-a-sender":   sendOnDemand,
	"be-a-crowd":    holdMany,
	"be-a-choir":    singTogether,
	"be-a-flood":    pourOut,

	"be-a-crowd-of-servers": acceptMany,
	"be-a-connecting-echo":  answerConnected,
	"be-an-abrupt-one":      hangUp,
}

// workerMain does a worker's work if this process was started to be one.
func workerMain() bool {
	if len(os.Args) < 2 || workers[os.Args[1]] == nil {
		return false
	}
	if err := workers[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// work runs a worker on the host in a cgroup, to its end.
func (s *site) work(t *testing.T, cgroup string, args ...string) {
	t.Helper()
	must[string](t)(s.Host.Command("/proc/self/exe", args...).In(cgroup).Output())
}

// A crowd is a worker that was started, and does what it is told.
type crowd struct {
	*lab.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// answer waits for the next line that it says.
func (c *crowd) answer(t *testing.T) {
	t.Helper()
	if line, err := c.out.ReadString('\n'); err != nil {
		t.Fatalf("worker %v says %q: %v", c.Args, line, err)
	}
}

// hire starts a worker on a node, which ends with the test.
func (s *site) hire(t *testing.T, n *lab.Node, cgroup string, args ...string) *crowd {
	t.Helper()
	return start(t, n.Command("/proc/self/exe", args...).In(cgroup))
}

// start starts a command to which something can be said, and ends with the test.
func start(t *testing.T, c *lab.Cmd) *crowd {
	t.Helper()
	started := &crowd{c, must[io.WriteCloser](t)(c.StdinPipe()), bufio.NewReader(must[io.ReadCloser](t)(c.StdoutPipe()))}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return started
}

// worker starts a worker on a node, which ends with the test, and waits until
// it is ready.
func (s *site) worker(t *testing.T, n *lab.Node, cgroup string, args ...string) {
	t.Helper()
	s.hire(t, n, cgroup, args...).answer(t)
}

// echo starts a plain UDP server on the host, which ends with the test.
func (s *site) echo(t *testing.T, cgroup, network string, port uint16) {
	t.Helper()
	s.worker(t, s.Host, cgroup, "be-an-echo", network, fmt.Sprint(port))
}

// echoPlainly answers every datagram with a plain sendto, as the simplest of
// servers do: the source of the answer is the kernel's choice.
func echoPlainly(args []string) error {
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	c, err := net.ListenUDP(args[0], &net.UDPAddr{Port: port})
	if err != nil {
		return err
	}
	go func() {
		data := make([]byte, 2048)
		for {
			_, from, err := c.ReadFromUDPAddrPort(data)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort([]byte(from.Addr().Unmap().String()), from)
		}
	}()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// sendRaw sends one datagram with its own IP header, from a source, or from
// one of the kernel's choice if that is unspecified.
func sendRaw(args []string) error {
	from, to := netip.MustParseAddr(args[0]), netip.MustParseAddr(args[1])
	family, name := unix.AF_INET, unix.Sockaddr(nil)
	if to.Is4() {
		name = &unix.SockaddrInet4{Addr: to.As4()}
	} else {
		family, name = unix.AF_INET6, &unix.SockaddrInet6{Addr: to.As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	return unix.Sendto(fd, datagram{from: from, to: to, dport: servicePort}.bytes(), 0, name)
}

// sendMarked sends one datagram that has a mark of its own, which its socket
// has not.
func sendMarked(args []string) error {
	to := netip.MustParseAddr(args[0])
	mark, err := strconv.ParseUint(args[1], 0, 32)
	if err != nil {
		return err
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		return err
	}
	control := make([]byte, unix.CmsgSpace(4))
	h := controlHeader(control, unix.SOL_SOCKET, unix.SO_MARK, uint32(mark))
	_, _, err = c.WriteMsgUDPAddrPort([]byte("?"), h, netip.AddrPortFrom(to, servicePort))
	return err
}

// deleteRule deletes the rule at a priority, and stays to be seen.
func deleteRule(args []string) error {
	priority, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	rules, err := netlink.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Priority == priority {
			if err := netlink.RuleDel(&r); err != nil {
				return err
			}
		}
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// sendOnDemand sends a datagram by a fresh socket for every line it reads,
// and says from where it went.
func sendOnDemand(args []string) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		c, err := net.Dial("udp", args[0])
		if err != nil {
			return err
		}
		if _, err := c.Write([]byte("?")); err != nil {
			return err
		}
		fmt.Println(c.LocalAddr().(*net.UDPAddr).IP)
		c.Close()
	}
	return lines.Err()
}
