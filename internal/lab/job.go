// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A Kind is what sort of socket a Job opens.
type Kind string

// The kinds of socket.
const (
	TCP     Kind = "tcp"
	MPTCP   Kind = "mptcp"
	UDP     Kind = "udp"     // connected
	SendTo  Kind = "sendto"  // unconnected UDP: each datagram names its destination
	Ping    Kind = "ping"    // unconnected ICMP by SOCK_DGRAM
	RawPing Kind = "rawping" // unconnected ICMP by SOCK_RAW; needs root
)

// A Job is one socket that a client process opens and uses. The process is in
// its cgroup, with its uid, before its first system call.
type Job struct {
	Kind    Kind
	To      []netip.AddrPort // connected kinds use the first; a ping's port does not matter
	Mapped  bool             // reach IPv4 by an AF_INET6 socket, as ::ffff:a.b.c.d
	Bind    netip.AddrPort   // bind before connecting; zero: do not
	Source  netip.Addr       // source address on each SendTo datagram (IP_PKTINFO); zero: none
	Device  string           // SO_BINDTODEVICE; empty: none
	Mark    uint32           // SO_MARK set by the application; 0: not set; needs root
	Count   int              // messages to send on opening, to each destination; 0: none
	Size    int              // bytes of each message
	NoReply bool             // do not wait for what comes back
	Timeout time.Duration    // for connecting, and for the next reply; 0 means 2 s
	Cgroup  string           `json:"-"` // of the lab; empty: its root
	UID     uint32           `json:"-"` // with GID both 0: root
	GID     uint32           `json:"-"`
}

// A Result is what came of opening a client, or of one Send.
type Result struct {
	PID     int
	Local   netip.AddrPort // the socket's address afterwards; unspecified while the kernel has chosen none
	Sent    int            // datagrams; on a stream, bytes that came back or, with NoReply, were taken
	Replies []string       // by order of arrival: the client's address as its Server saw it; for pings the local address that was answered, without port
	Call    string         // the first call that failed: "socket", "bind", "connect", "send", "recv", or the option's name
	Errno   string         // its error's name, "ENETUNREACH"; a reply that did not come is ETIMEDOUT, a peer's close is EOF
	Mark    uint32         // SO_MARK afterwards
	Cookie  uint64         // SO_COOKIE
	Elapsed time.Duration
}

// Err is nil if every call worked.
func (r Result) Err() error {
	if r.Errno == "" {
		return nil
	}
	return fmt.Errorf("%s: %s", r.Call, r.Errno)
}

// A Client is a process that holds the socket of a Job open.
type Client struct {
	Opened Result // of opening, and of sending the Job's Count

	cmd     *Cmd
	orders  io.WriteCloser
	results *json.Decoder
}

// Open starts a client and waits until it has opened its socket and sent the
// job's messages. An error says that the process failed; what became of the
// socket is in Opened. A program that does not call ClientMain is refused.
func (n *Node) Open(job Job) (*Client, error) {
	if !clientMainCalled.Load() {
		return nil, fmt.Errorf("open %s client: the program does not call lab.ClientMain first thing in main or TestMain", job.Kind)
	}
	text, err := json.Marshal(job)
	if err != nil {
		return nil, fmt.Errorf("open %s client: %w", job.Kind, err)
	}
	cmd := n.Command(clientProgram, string(text)).In(job.Cgroup)
	cmd.Args[0] = clientName
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0"} // built with -race, it would end a second late
	if job.UID != 0 || job.GID != 0 {
		cmd.As(job.UID, job.GID)
	}
	c := &Client{cmd: cmd}
	if c.orders, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("open %s client: %w", job.Kind, err)
	}
	results, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open %s client: %w", job.Kind, err)
	}
	c.results = json.NewDecoder(results)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("open %s client: %w", job.Kind, err)
	}
	if err := c.results.Decode(&c.Opened); err != nil {
		cause := fmt.Errorf("open %s client: no result: %w", job.Kind, err)
		return nil, errors.Join(cause, c.Close())
	}
	return c, nil
}

// Run opens a client, sends the job's messages, and closes it.
func (n *Node) Run(job Job) (Result, error) {
	c, err := n.Open(job)
	if err != nil {
		return Result{}, err
	}
	return c.Opened, c.Close()
}

// Send makes the client send count messages of size bytes on its open socket,
// to each destination, and wait for the replies unless the job has NoReply.
func (c *Client) Send(count, size int) (Result, error) {
	var r Result
	if _, err := fmt.Fprintf(c.orders, "send %d %d\n", count, size); err != nil {
		return r, fmt.Errorf("order client %d: %w", c.PID(), err)
	}
	if err := c.results.Decode(&r); err != nil {
		return r, fmt.Errorf("await client %d: %w", c.PID(), err)
	}
	return r, nil
}

// PID is the process's id.
func (c *Client) PID() int { return c.cmd.Process.Pid }

// Close makes the client close its socket and ends it. It may be called again.
func (c *Client) Close() error {
	_ = c.orders.Close()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("close client: %w", err)
	}
	return nil
}

// errnoName is the symbol of a system call's error.
func errnoName(err error) string {
	var errno unix.Errno
	switch {
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
