// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Inner returns the interfaces that packets of others may come in by: all
// but loopbacks.
func Inner() (map[string]plan.Inner, error) {
	var list []netlink.Link
	err := retry(func() (err error) {
		list, err = netlink.LinkList()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read interfaces: %w", err)
	}
	vrfs := map[int]bool{}
	for _, l := range list {
		_, vrfs[l.Attrs().Index] = l.(*netlink.Vrf)
	}
	inner := map[string]plan.Inner{}
	for _, l := range list {
		a := l.Attrs()
		if a.RawFlags&unix.IFF_LOOPBACK != 0 {
			continue
		}
		_, bridge := l.(*netlink.Bridge)
		in := plan.Inner{Index: a.Index, Bridge: bridge}
		if !vrfs[a.MasterIndex] {
			in.Master = a.MasterIndex
		}
		inner[a.Name] = in
	}
	return inner, nil
}
