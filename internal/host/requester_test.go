// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRequester finds this process by the port of a second netlink socket,
// which is no pid.
func TestRequester(t *testing.T) {
	self := fmt.Sprintf("(pid %d", os.Getpid())
	for range 2 {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			t.Fatal(err)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		port := name.(*unix.SockaddrNetlink).Pid
		if got := Requester(port); !strings.Contains(got, self) {
			t.Errorf("port %d belongs to %q, want this process", port, got)
		}
	}
	if got := Requester(0); got != "" {
		t.Errorf("port 0 belongs to %q", got)
	}
	if got := Requester(0xfffffff0); got != "a process that is gone" {
		t.Errorf("a port of nobody belongs to %q", got)
	}
}

func TestUnitOf(t *testing.T) {
	for groups, want := range map[string]string{
		"0::/system.slice/systemd-networkd.service\n":                        "systemd-networkd.service",
		"0::/user.slice/user-0.slice/session-2.scope\n":                      "session-2.scope",
		"0::/system.slice/a.service/inner\n":                                 "a.service",
		"12:pids:/x.service\n1:name=systemd:/system.slice/b.service\n0::/\n": "b.service",
		"0::/\n": "",
	} {
		if got := unitOf(groups); got != want {
			t.Errorf("%q: %q, want %q", groups, got, want)
		}
	}
}
