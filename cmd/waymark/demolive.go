// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"waymark/internal/lab"
)

// serve has an agent on the laboratory's host, whose page is on a listener of
// this machine. The context that it returns ends with ctx, or with the agent.
func (d *demo) serve(ctx context.Context, on net.Listener) (context.Context, func(), error) {
	socket, err := on.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, nil, err
	}
	defer socket.Close()
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	agent := d.lab.Host.Command(self, "run", "-f", d.policy(), "--cgroup-root", d.lab.CgroupRoot(), "--listen", "fd:3")
	var said bytes.Buffer
	agent.Stderr, agent.ExtraFiles = &said, []*os.File{socket}
	if err := agent.Start(); err != nil {
		return nil, nil, err
	}
	d.say("the agent of that host serves its page and metrics: %s\n\n", whereIs(on))
	served, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = agent.Wait()
		cancel(fmt.Errorf("the agent has ended: %s", bytes.TrimSpace(said.Bytes())))
	}()
	return served, func() {
		_ = agent.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
	}, nil
}

// whereIs is where a browser finds what is served on a listener.
func whereIs(on net.Listener) string {
	if on.Addr().Network() == "unix" {
		return on.Addr().String()
	}
	return "http://" + on.Addr().String() + "/"
}

// scenes are what happens while the clients send, over and over.
var scenes = []struct {
	after time.Duration
	text  string
	do    func(d *demo) error
}{
	{12 * time.Second, "uplink b has lost its cable: backup goes by a, trader is refused, voice follows the host's own route", func(d *demo) error { return d.lab.Unplug(1) }},
	{10 * time.Second, "its cable is back", func(d *demo) error { return d.lab.Plug(1) }},
	{12 * time.Second, "trader is moved out of its class for ten seconds", func(d *demo) error {
		return d.verb("move", "--existing", "reset", "--for", "10s", "--cgroup-root", d.lab.CgroupRoot(), "uid:2000", "unclassed")
	}},
}

// live has the clients send, and things happen to them, until ctx ends.
func (d *demo) live(ctx context.Context) error {
	d.say("\nthe clients send on; Ctrl-C ends it, and nothing is left\n")
	var clients sync.WaitGroup
	defer clients.Wait()
	for n, c := range demoClients {
		server, err := d.lab.Far.Serve(c.port(n))
		if err != nil {
			return err
		}
		defer server.Close()
		for i, kind := range c.kinds {
			to := [...]netip.Addr{lab.Service4(c.service), lab.Service6(c.service)}[i%2]
			clients.Go(func() { d.chat(ctx, c.to(kind, to, c.port(n)), n+i) })
		}
	}
	for n := 0; ; n = (n + 1) % len(scenes) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(scenes[n].after):
		}
		if err := scenes[n].do(d); err != nil && ctx.Err() == nil {
			return err
		}
		d.say("%s %s\n", time.Now().Format(time.TimeOnly), scenes[n].text)
	}
}

// chat opens one flow after another and sends by each for some seconds. That
// one fails while its uplink does is what is shown.
func (d *demo) chat(ctx context.Context, job lab.Job, pace int) {
	const rounds, pause = 12, 250 * time.Millisecond
	job.Timeout = time.Second
	for rest(ctx, pause) {
		client, err := d.lab.Host.Open(job)
		if err != nil {
			continue
		}
		for n := 0; n < rounds && client.Opened.Err() == nil && rest(ctx, pause); n++ {
			if r, err := client.Send(2+(n+3*pace)%9, 400+100*pace); err != nil || r.Err() != nil {
				break
			}
		}
		_ = client.Close() // a signal may have ended it
	}
}

// rest returns after a time, and tells whether ctx goes on.
func rest(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}
