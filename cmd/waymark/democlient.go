// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"waymark/internal/lab"
)

// demoClient is one client of the demonstration.
type demoClient struct {
	class, by string
	uplink    int // where it should leave
	job       lab.Job
	service   int // the far server's address
	kinds     []lab.Kind
}

var demoClients = []demoClient{
	{class: "backup", by: "cgroup", uplink: 1, service: 1, kinds: []lab.Kind{lab.TCP, lab.UDP}, job: lab.Job{Cgroup: "backup.slice/rsync.service"}},
	{class: "trader", by: "uid", uplink: 1, service: 1, kinds: []lab.Kind{lab.TCP, lab.UDP}, job: lab.Job{UID: 2000, GID: 2000}},
	{class: "unclassed", by: "nothing", uplink: 0, service: 1, kinds: []lab.Kind{lab.TCP, lab.UDP}},
	{class: "voice", by: "5-tuple", uplink: 1, service: 2, kinds: []lab.Kind{lab.UDP, lab.SendTo}},
}

// demoRow is what came of one client.
type demoRow struct {
	Class   string `json:"class"`
	By      string `json:"by"`
	Sent    string `json:"sent"`
	Sources string `json:"sources"` // the client's addresses, as the far server saw them
	Routers [2]int `json:"routers"` // packets to the server that each router saw
	Uplink  string `json:"uplink"`  // the one it should leave by
	Right   bool   `json:"right"`
}

const demoMessages = 100

// port is the far server's for the nth client: its own, but that of the class.
func (c demoClient) port(n int) uint16 {
	if c.class == "voice" {
		return 5004
	}
	return uint16(5001 + n)
}

// to is the client's work of a kind.
func (c demoClient) to(kind lab.Kind, to netip.Addr, port uint16) lab.Job {
	job := c.job
	job.Kind, job.To = kind, []netip.AddrPort{netip.AddrPortFrom(to, port)}
	return job
}

// run sends the client's traffic to a port of its own, and counts at the
// routers what came for it.
func (c demoClient) run(l *lab.Lab, port uint16) (row demoRow, err error) {
	row = demoRow{Class: c.class, By: c.by, Uplink: l.Uplink(c.uplink).Name}
	server, err := l.Far.Serve(port)
	if err != nil {
		return row, err
	}
	defer server.Close()
	var captures []*lab.Capture
	for _, router := range l.Routers {
		capture, err := router.Capture("down")
		if err != nil {
			return row, err
		}
		defer capture.Close()
		captures = append(captures, capture)
	}
	var sent, sources []string
	for _, kind := range c.kinds {
		for _, to := range []netip.Addr{lab.Service4(c.service), lab.Service6(c.service)} {
			job := c.to(kind, to, port)
			job.Count, job.Size = demoMessages, 100
			result, err := l.Host.Run(job)
			if err == nil {
				err = result.Err()
			}
			if err != nil {
				return row, fmt.Errorf("%s to %s: %w", kind, to, err)
			}
			for _, reply := range result.Replies {
				if from, err := netip.ParseAddrPort(reply); err == nil && !slices.Contains(sources, from.Addr().String()) {
					sources = append(sources, from.Addr().String())
				}
			}
		}
		sent = append(sent, fmt.Sprintf("%s 2x%d", kind, demoMessages))
	}
	row.Sent, row.Sources = strings.Join(sent, ", "), strings.Join(sources, ", ")
	return row, c.count(captures, port, &row)
}

// count reads the verdict where it counts: at the routers.
func (c demoClient) count(captures []*lab.Capture, port uint16, row *demoRow) error {
	// The last packets of a closing connection may still be on their way.
	time.Sleep(50 * time.Millisecond)
	for n, capture := range captures {
		packets, err := capture.Packets()
		if err != nil {
			return err
		}
		for _, p := range packets {
			if p.Dst.Port() == port {
				row.Routers[n]++
			}
		}
	}
	row.Right = row.Routers[c.uplink] >= 2*len(c.kinds)*demoMessages/2 && row.Routers[1-c.uplink] == 0
	return nil
}
