// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// echoConnected starts a server that answers every datagram as iperf3, socat
// and nc do: it connects to who asked, and listens anew afterwards.
func (s *site) echoConnected(t *testing.T, cgroup, network string, port uint16) {
	t.Helper()
	s.worker(t, s.Host, cgroup, "be-a-connecting-echo", network, fmt.Sprint(port))
}

func answerConnected(args []string) error {
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for ready := false; ; ready = true {
		c, err := net.ListenUDP(args[0], &net.UDPAddr{Port: port})
		if err != nil {
			return err
		}
		if !ready {
			fmt.Println("ready")
		}
		if err := answerOnce(c, args[0]); err != nil {
			return err
		}
	}
}

// answerOnce waits for a question, and connects to who asks.
func answerOnce(c *net.UDPConn, network string) error {
	defer c.Close()
	_, peer, err := c.ReadFromUDPAddrPort(make([]byte, 2048))
	if err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	to := netip.AddrFrom16(peer.Addr().As16())
	if network == "udp4" {
		to = peer.Addr().Unmap()
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.Connect(int(fd), sockaddr(to, int(peer.Port()))); failed == nil {
			_, failed = unix.Write(int(fd), []byte(peer.Addr().Unmap().String()))
		}
	})
	if err != nil {
		return err
	}
	return failed
}
