// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Server answers on one TCP and UDP port of a node, on all its addresses of
// both families, from the address that was asked. A TCP (or MPTCP) client first
// gets a line with its own address and port, "10.0.1.2:43210", then everything
// it sends back. Every datagram is answered by such an address, without a line
// end. Server is a part of this process, not a process of the lab.
type Server struct {
	Port uint16
	tcp  net.Listener
	udp  *net.UDPConn

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once closed
	done  sync.WaitGroup
}

const serverBuffer = 8 << 20 // bytes; a few thousand small datagrams

// Serve starts a Server on a port; 0 takes a free one. It ends with the lab, or by its Close.
func (n *Node) Serve(port uint16) (*Server, error) {
	s := &Server{Port: port, conns: map[net.Conn]bool{}}
	if err := n.Do(s.listen); err != nil {
		return nil, fmt.Errorf("serve port %d in %s: %w", port, n.Name, errors.Join(err, s.Close()))
	}
	s.done.Go(s.serveTCP)
	s.done.Go(s.serveUDP)
	if err := n.lab.own(s); err != nil {
		return nil, fmt.Errorf("serve port %d in %s: %w", port, n.Name, errors.Join(err, s.Close()))
	}
	return s, nil
}

func (s *Server) listen() (err error) {
	var config net.ListenConfig
	config.SetMultipathTCP(true)
	if s.tcp, err = config.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", s.Port)); err != nil {
		return err
	}
	s.Port = s.tcp.Addr().(*net.TCPAddr).AddrPort().Port()
	config.Control = func(_, _ string, c syscall.RawConn) (err error) {
		outer := c.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, serverBuffer),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
		})
		return errors.Join(outer, err)
	}
	packets, err := config.ListenPacket(context.Background(), "udp", fmt.Sprintf(":%d", s.Port))
	if err != nil {
		return err
	}
	s.udp = packets.(*net.UDPConn)
	return nil
}

// Close ends the server and its connections. It may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	if conns == nil {
		return nil
	}
	if s.tcp != nil {
		s.tcp.Close()
	}
	if s.udp != nil {
		s.udp.Close()
	}
	for c := range conns {
		c.Close()
	}
	s.done.Wait()
	return nil
}

func (s *Server) serveTCP() {
	for {
		conn, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.conns == nil {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.conns[conn] = true
		s.mu.Unlock()
		s.done.Go(func() { s.echo(conn) })
	}
}

func (s *Server) echo(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	if _, err := fmt.Fprintln(conn, plain(conn.RemoteAddr().(*net.TCPAddr).AddrPort())); err != nil {
		return
	}
	_, _ = io.Copy(conn, conn)
}

func (s *Server) serveUDP() {
	data, control := make([]byte, 1<<16), make([]byte, 256)
	for {
		_, n, _, client, err := s.udp.ReadMsgUDPAddrPort(data, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		answer := []byte(plain(client).String())
		_, _, _ = s.udp.WriteMsgUDPAddrPort(answer, fromSame(control[:n]), client)
	}
}

// fromSame turns the control message of a received datagram into one that
// answers from the address it was sent to, by whatever interface.
func fromSame(received []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(received)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16 {
			return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(m.Data[:16])})
		}
	}
	return nil
}

// plain writes a v4-mapped address as the IPv4 address it is.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
