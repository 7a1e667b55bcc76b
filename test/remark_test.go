// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

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
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Control: shareSource}
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

// shareSource lets an address have more connections than it has ports: each is
// told apart by where it goes, too.
func shareSource(_, _ string, raw syscall.RawConn) (err error) {
	refused := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	return errors.Join(refused, err)
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
	var crowds []*crowd
	for n := 0; n < *manySockets; n += each {
		port := fmt.Sprint(2000 + n/each)
		s.worker(t, s.Far, "", "be-a-crowd-of-servers", port)
		crowds = append(crowds, s.hire(t, s.Host, "x.slice", "be-a-crowd",
			v4.homeless().String(), v4.service(1).Addr().String()+":"+port, fmt.Sprint(min(each, *manySockets-n))))
	}
	for _, c := range crowds {
		c.answer(t)
	}
	got := item[moved](t, s.ok(t, "move", "-o", "json", "x.slice", "bulk", "--existing", "move")).Sockets
	if want := uint64(*manySockets); got.Moved != want || got.Total() != want {
		t.Errorf("move says %+v, want %d moved", got, want)
	}
	before := s.counted(t)
	for _, c := range crowds {
		must[int](t)(io.WriteString(c.in, "send\n"))
	}
	for _, c := range crowds {
		c.answer(t)
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
