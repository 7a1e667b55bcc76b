// SPDX-License-Identifier: Apache-2.0

package hosts

import (
	"errors"
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// closedClass never goes by another uplink than its own, whatever networkd
// removes.
const closedClass = "  - {name: closed, route: [b], otherwise: unreachable, match: [{unit: closed.service}]}\n"

// insists sends all the time, to an address of the far server that nobody else
// here uses, by new sockets and by one of each family that stays open.
const insists = `[Service]
ExecStart=/bin/bash -c 'exec 5<>/dev/tcp/203.0.113.2/7 6<>/dev/tcp/2001:db8:f::2/7; while sleep 0.01; do echo more >&5; echo more >&6; for to in 203.0.113.2 2001:db8:f::2; do echo new >"/dev/udp/$$to/7"; done; done'
`

// isClosed tells packets of closed.service.
func isClosed(p lab.Packet) bool {
	return p.Dst.Addr() == netip.MustParseAddr("203.0.113.2") || p.Dst.Addr() == netip.MustParseAddr("2001:db8:f::2")
}

// guard checks what a router got of closed.service.
func (m *machine) guard(t *testing.T, router int, p lab.Packet) {
	t.Helper()
	if router == byB {
		m.guarded[p.Src.Addr()]++
	} else {
		t.Errorf("router %d got %v from a class that must not leave there", router, p)
	}
}

// insists runs closed.service while do does.
func (m *machine) insists(t *testing.T, do func(*testing.T)) {
	m.ok(t, "systemctl", "start", "closed.service")
	sends := func() {
		m.guarded = map[netip.Addr]int{}
		eventually(t, "closed.service sends by both families", func() error {
			m.collect(t)
			if len(m.guarded) < 2 {
				return errors.New("it does not")
			}
			return nil
		})
	}
	sends()
	do(t)
	sends()
	m.ok(t, "systemctl", "stop", "closed.service")
}
