// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/netip"
	"os"
	"runtime"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var comparePrefix = gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// namespace puts the test into namespaces of its own, made by flags such
// as unix.CLONE_NEWNET. They go with the test's thread, which is never
// given back.
func namespace(t *testing.T, flags int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(flags); err != nil {
		t.Fatal(err)
	}
	if flags&unix.CLONE_NEWNS != 0 {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
	}
	if flags&unix.CLONE_NEWNET != 0 {
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func addVeth(t *testing.T, name string) netlink.Link {
	t.Helper()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-peer"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	return veth
}
