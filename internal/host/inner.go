// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Inner returns the interfaces that packets of others may come in by, with
// their ifindexes: all but loopbacks and those that belong to a bridge or
// bond, whose packets come in by their master.
func Inner() (map[string]int, error) {
	var list []netlink.Link
	err := retry(func() (err error) {
		list, err = netlink.LinkList()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read interfaces: %w", err)
	}
	inner := map[string]int{}
	for _, l := range list {
		if a := l.Attrs(); a.MasterIndex == 0 && a.RawFlags&unix.IFF_LOOPBACK == 0 {
			inner[a.Name] = a.Index
		}
	}
	return inner, nil
}
