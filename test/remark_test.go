// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

// manySockets is how many connections TestRemarkMany opens.
var manySockets = flag.Int("sockets", 2000, "connections that are moved at once; 100000 for the figure")

// holdMany is a worker that holds connections open, from an address, and sends
// a byte on each for every line that it is told.
func holdMany(args []string) error {
	from, to := netip.MustParseAddr(args[0]), netip.MustParseAddrPort(args[1])
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	all := make([]net.Conn, n)
	for k := range all {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
		c, err := d.Dial("tcp", to.String())
		if err != nil {
			return err
		}
		all[k] = c
		defer c.Close()
	}
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); fmt.Println("sent") {
		for _, c := range all {
			if _, err := c.Write([]byte{0}); err != nil {
				return err
			}
		}
	}
	return nil
}

// acceptMany is a worker that accepts and holds connections on ports.
func acceptMany(args []string) error {
	for _, port := range args {
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
			}
		}()
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// TestRemarkMany moves many connections at once, and says what a socket cost:
// the next packet of each leaves by the class's uplink. They are spread over
// processes, for each may open few.
func TestRemarkMany(t *testing.T) {
	const each = 4000
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "x.slice")
	s.apply(t, moveable)
	var send []func()
	for n := 0; n < *manySockets; n += each {
		port := 2000 + n/each
		some := min(each, *manySockets-n)
		s.worker(t, s.Far, "", "be-a-crowd-of-servers", fmt.Sprint(port))
		in, out := s.worker(t, s.Host, "x.slice", "be-a-crowd", v4.homeless().String(), fmt.Sprintf("%s:%d", v4.service(1).Addr(), port), fmt.Sprint(some))
		send = append(send, func() {
			must[int](t)(io.WriteString(in, "send\n"))
			must[string](t)(out.ReadString('\n'))
		})
	}
	got := item[moved](t, s.ok(t, "move", "-o", "json", "x.slice", "bulk", "--existing", "move")).Sockets
	if want := uint64(*manySockets); got.Moved != want || got.Total() != want {
		t.Errorf("move says %+v, want %d moved", got, want)
	}
	before := s.counted(t)
	for _, some := range send {
		some()
	}
	after := s.counted(t)
	for class, by := range after {
		for uplink, is := range by {
			n, right := is.Packets-before[class][uplink].Packets, class == "bulk" && uplink == "b"
			if right != (n > 0) || right && n < uint64(*manySockets) {
				t.Errorf("%d packets of class %s left by %s, want all %d of bulk's by b", n, class, uplink, *manySockets)
			}
		}
	}
	t.Logf("%d sockets took %s, %.2f µs each", got.Total(), got.Took, got.Took.Seconds()*1e6/float64(max(1, got.Total())))
	if again := item[moved](t, s.ok(t, "move", "-o", "json", "x.slice", "exec", "--existing", "move", "--dry-run")).Sockets; again != (datapath.Walked{Moved: got.Moved, Took: again.Took}) {
		t.Errorf("a rehearsal says %+v", again)
	}
}

// worker starts a worker on a node, which ends with the test, and returns its
// standard input and output.
func (s *site) worker(t *testing.T, n *lab.Node, cgroup string, args ...string) (in io.Writer, out *bufio.Reader) {
	t.Helper()
	c := n.Command("/proc/self/exe", args...).In(cgroup)
	in, out = must[io.WriteCloser](t)(c.StdinPipe()), bufio.NewReader(must[io.ReadCloser](t)(c.StdoutPipe()))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if line, err := out.ReadString('\n'); err != nil {
		t.Fatalf("start %v: %q: %v", args, line, err)
	}
	return in, out
}
