// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// A peer is this program as another process: a server or a client that can
// be in any cgroup, which the laboratory's own servers cannot.
const (
	peerServer = "be-a-server"
	peerClient = "be-a-client"
)

// peerMain does a peer's work if this process was started to be one.
func peerMain() bool {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == peerServer:
		err = serve(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == peerClient:
		err = ask(os.Args[2], os.Args[3])
	default:
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// ask connects and prints the answer to a first message.
func ask(network, address string) error {
	c, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("?\n")); err != nil {
		return err
	}
	answer := make([]byte, 100)
	n, err := c.Read(answer)
	fmt.Printf("%s\n", answer[:n])
	return err
}

// serve answers as the laboratory's own servers do, until its input ends:
// by TCP and UDP on one port, and on the next by a UDP server that leaves the
// source of its answers to the kernel. The listener is one of plain TCP,
// which no Go program has unasked.
func serve(text string) error {
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	tcp, err := config.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	go serveTCP(tcp)
	for i := range 2 {
		udp, err := net.ListenUDP("udp", &net.UDPAddr{Port: port + i})
		if err != nil {
			return err
		}
		go serveUDP(udp, i == 0)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func serveTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			from := c.RemoteAddr().(*net.TCPAddr).AddrPort()
			fmt.Fprintln(c, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
			io.Copy(c, c)
		}()
	}
}

// serveUDP answers, from the address that was asked if it is to see to that
// itself.
func serveUDP(c *net.UDPConn, fromSame bool) {
	raw, err := c.SyscallConn()
	if err == nil && fromSame {
		err = raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) })
	}
	data, control := make([]byte, 2048), make([]byte, 256)
	for err == nil {
		_, n, _, from, e := c.ReadMsgUDPAddrPort(data, control)
		if e != nil {
			return
		}
		var source []byte
		messages, _ := unix.ParseSocketControlMessage(control[:n])
		for _, m := range messages {
			if m.Header.Type == unix.IPV6_PKTINFO {
				source = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(m.Data[:16])})
			}
		}
		_, _, err = c.WriteMsgUDPAddrPort([]byte(from.Addr().Unmap().String()), source, from)
	}
}

// listen starts a server on the host in a cgroup, which ends with the test.
func (s *site) listen(t *testing.T, cgroup string, port uint16) {
	t.Helper()
	s.worker(t, s.Host, cgroup, peerServer, fmt.Sprint(port))
}

// answers checks that the host answers a node's job, from the address that
// was asked, and by which router the answers leave; -1: by none.
func (s *site) answers(t *testing.T, from *lab.Node, job lab.Job, router int) {
	t.Helper()
	job.Count, job.Size = 1, 16
	s.drain(t)
	r := must[lab.Result](t)(from.Run(job))
	if err := r.Err(); err != nil {
		t.Errorf("%v", err)
	}
	found := 0
	for n, packets := range s.collect(t, answerTo(job, r)) {
		for _, p := range packets {
			if n != router || p.Src.Addr() != job.To[0].Addr() {
				t.Errorf("router %d got %v; only router %d should get anything, from %s", n, p, router, job.To[0].Addr())
			}
			found++
		}
	}
	if router >= 0 && found == 0 {
		t.Errorf("router %d got nothing", router)
	}
}

// answerTo tells the answers to a client from those to others, whose
// connections may still be closing.
func answerTo(job lab.Job, client lab.Result) func(lab.Packet) bool {
	if isPing(job.Kind) {
		return func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_ICMP || p.Proto == unix.IPPROTO_ICMPV6 }
	}
	return func(p lab.Packet) bool { return p.Dst.Port() == client.Local.Port() }
}
