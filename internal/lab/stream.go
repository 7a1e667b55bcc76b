// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// send sends count messages of size bytes.
func (s *socket) send(count, size int, r *Result) error {
	if s.fd < 0 {
		return failed("send", unix.EBADF)
	}
	if s.isStream() {
		return s.sendStream(count*size, r)
	}
	return s.sendDatagrams(count, size, r)
}

// readGreeting reads the line by which a Server says whom it sees.
func (s *socket) readGreeting(r *Result) error {
	var line []byte
	deadline := time.Now().Add(s.job.Timeout)
	for {
		if err := s.await(unix.POLLIN, deadline); err != nil {
			return failed("recv", err)
		}
		var b [1]byte // no further: what follows belongs to the next send
		n, err := unix.Read(s.fd, b[:])
		switch {
		case retry(err):
		case err != nil:
			return failed("recv", err)
		case n == 0:
			return failed("recv", io.EOF)
		case b[0] == '\n':
			r.Replies = append(r.Replies, strings.TrimSpace(string(line)))
			return nil
		default:
			line = append(line, b[0])
		}
	}
}

// sendStream sends bytes and, unless the job has NoReply, reads as many back
// meanwhile, lest both directions fill up.
func (s *socket) sendStream(total int, r *Result) error {
	buffer := make([]byte, 64<<10)
	written, back := 0, 0
	for {
		var events int16
		if written < total {
			events |= unix.POLLOUT
		}
		if !s.job.NoReply && back < total {
			events |= unix.POLLIN
		}
		if events == 0 {
			return nil
		}
		if err := s.await(events, time.Now().Add(s.job.Timeout)); err != nil {
			return failed("recv", err)
		}
		if written < total {
			n, err := unix.Write(s.fd, buffer[:min(len(buffer), total-written)])
			if err != nil && !retry(err) {
				return failed("send", err)
			}
			written += max(n, 0)
		}
		if s.job.NoReply {
			r.Sent = written
			continue
		}
		n, err := unix.Read(s.fd, buffer)
		switch {
		case err == nil && n == 0:
			return failed("recv", io.EOF)
		case err != nil && !retry(err):
			return failed("recv", err)
		}
		back += max(n, 0)
		r.Sent = back
	}
}

// retry tells whether an error only says "not now".
func retry(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }
