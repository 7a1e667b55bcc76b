// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"net"
	"testing"

	"waymark/internal/lab"
)

// TestGroupReports joins groups: what the kernel reports of it has the room that
// is left in the packet where a mark would be, which is nobody's mark, and no class.
func TestGroupReports(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.apply(t, fourClasses)
	before := tallyOf(t, s.metered(t), "unclassed")
	if err := s.Host.Do(func() error {
		uplink, err := net.InterfaceByName("up-b")
		if err != nil {
			return err
		}
		for network, group := range map[string]string{"udp4": "239.1.2.3", "udp6": "ff15::1:2:3"} {
			c, failed := net.ListenMulticastUDP(network, uplink, &net.UDPAddr{IP: net.ParseIP(group), Port: 5004})
			if err = errors.Join(err, failed); failed == nil {
				defer c.Close()
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the groups are reported", func() error {
		now := tallyOf(t, s.metered(t), "unclassed")
		if now.Foreign > before.Foreign {
			t.Fatalf("%d packets bear somebody's mark, want none", now.Foreign-before.Foreign)
		}
		if now.Packets < before.Packets+4 {
			return errors.New("joining and leaving two groups takes four reports")
		}
		return nil
	})
}
