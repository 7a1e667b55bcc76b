// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Translated is a connection that the kernel follows and whose packets get
// another source.
type Translated struct {
	Proto  uint8
	Source netip.AddrPort // as who began it sends
	Peer   netip.AddrPort // the same
	Dst    netip.Addr     // that its packets go to: Peer's, unless that is translated too
	As     netip.Addr     // the source that they get
}

// ForgetTranslated has the kernel forget those connections of the calling
// thread's network namespace that are stale, and returns how many: the next
// packet of each is translated anew. A kernel that does not list connections
// keeps them all.
func ForgetTranslated(stale func(Translated) bool) (n int, err error) {
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		err := retry(func() error {
			some, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, isStale(stale))
			n += int(some)
			return err
		})
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("forget translated connections: %w", err)
		}
	}
	return n, nil
}

// isStale is a filter of connections.
type isStale func(Translated) bool

// MatchConntrackFlow tells whether a connection is translated, and stale.
func (stale isStale) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	c := Translated{
		Proto: f.Forward.Protocol, Source: addrPort(f.Forward.SrcIP, f.Forward.SrcPort), Peer: addrPort(f.Forward.DstIP, f.Forward.DstPort),
		Dst: addrPort(f.Reverse.SrcIP, 0).Addr(), As: addrPort(f.Reverse.DstIP, 0).Addr(),
	}
	return c.As.IsValid() && c.As != c.Source.Addr() && stale(c)
}

func addrPort(ip net.IP, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}
