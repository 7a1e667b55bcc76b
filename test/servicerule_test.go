// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestRuleByService has a rule of somebody's lead what bears a type of service
// by main, whatever its class: it leaves there, and is no misroute.
func TestRuleByService(t *testing.T) {
	needRepair(t)
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	const rule = "priority 900 tos 0x10 lookup main"
	s.shell(t, "ip rule add "+rule)
	t.Cleanup(func() { s.shell(t, "ip rule del "+rule) })
	one, three := v4.service(1).Addr(), v4.service(3).Addr()
	for cgroup, to := range map[string]string{"app.slice": one.String(), "closed.slice": one.String(), "": three.String()} {
		for _, how := range []string{"service", "service, connected", "service, stream"} {
			t.Run(fmt.Sprintf("%s in %q", how, cgroup), func(t *testing.T) {
				s.account(t, ledger{}, func() {
					s.drain(t)
					s.work(t, cgroup, "be-odd", how, to)
					s.drainOf(t, byA, func(p lab.Packet) bool { return p.Dst.Addr().String() == to }, s.address(byA, one))
				})
			})
		}
	}
}

// service is an option that gives what a socket sends a type of service.
func service(uint32) []byte { return []byte{0x10, 0, 0, 0} }

// connectOfService opens a connection of a type of service.
func connectOfService(to []netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_TOS, string(service(0))); err != nil {
		return err
	}
	if err := unix.Connect(fd, sockaddr(to[0], servicePort)); err != nil {
		return err
	}
	return awaitAnswer(fd)
}
