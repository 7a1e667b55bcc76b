// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// sendDatagrams sends count rounds to every destination, then waits for the
// replies that have not come meanwhile.
func (s *socket) sendDatagrams(count, size int, r *Result) error {
	to := s.job.To
	if s.isConnected() {
		to = to[:1]
	}
	for range count {
		for _, a := range to {
			if err := s.sendOne(a, size); err != nil {
				return failed("send", err)
			}
			r.Sent++
			if err := s.drain(r); err != nil {
				return failed("recv", err)
			}
		}
	}
	for !s.job.NoReply && len(r.Replies) < r.Sent {
		if err := s.await(unix.POLLIN, time.Now().Add(s.job.Timeout)); err != nil {
			return failed("recv", err)
		}
		if err := s.drain(r); err != nil {
			return failed("recv", err)
		}
	}
	return nil
}

// sendOne sends one datagram, waiting while the socket's buffer is full.
func (s *socket) sendOne(to netip.AddrPort, size int) error {
	var name unix.Sockaddr
	if !s.isConnected() {
		name = s.address(to)
	}
	message := make([]byte, size)
	if s.isPing() {
		message = echoRequest(s.family(), s.sent, size)
	}
	s.sent++
	for {
		_, err := unix.SendmsgN(s.fd, message, s.source(), name, 0)
		if !retry(err) {
			return err
		}
		if err := s.await(unix.POLLOUT, time.Now().Add(s.job.Timeout)); err != nil {
			return err
		}
	}
}

// source is the control message that names the job's source address.
func (s *socket) source() []byte {
	switch {
	case !s.job.Source.IsValid():
		return nil
	case s.family() == unix.AF_INET:
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: s.job.Source.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: s.job.Source.As16()})
}

// drain takes the replies that are there.
func (s *socket) drain(r *Result) error {
	if s.job.NoReply {
		return nil
	}
	data, control := make([]byte, 2048), make([]byte, 128)
	for {
		n, size, _, _, err := unix.Recvmsg(s.fd, data, control, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case !s.isPing():
			r.Replies = append(r.Replies, string(data[:n]))
		case isEchoReply(s.job.Kind == RawPing, s.family(), data[:n]):
			r.Replies = append(r.Replies, answered(control[:size]))
		}
	}
}

// answered is the local address that a reply was sent to.
func answered(control []byte) string {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			return netip.AddrFrom4([4]byte(m.Data[8:12])).String()
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			return netip.AddrFrom16([16]byte(m.Data[:16])).String()
		}
	}
	return ""
}
