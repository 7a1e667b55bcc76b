// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// NetnsInode returns the inode of the calling thread's network namespace,
// by which lsns and `ip netns identify` know it.
func NetnsInode() (uint64, error) {
	var s unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &s); err != nil {
		return 0, fmt.Errorf("read network namespace: %w", err)
	}
	return s.Ino, nil
}

// namedNetns is where iproute2 and who does as it does give network namespaces names.
const namedNetns = "/run/netns"

// NetnsName is the name under which `ip netns` knows the calling thread's network
// namespace, which outlives the machine where its inode does not: the first of
// them, and "" for one that has none.
func NetnsName() string {
	here, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return ""
	}
	named, _ := os.ReadDir(namedNetns) // in order
	for _, e := range named {
		if there, err := os.Stat(filepath.Join(namedNetns, e.Name())); err == nil && os.SameFile(here, there) {
			return e.Name()
		}
	}
	return ""
}

// FirstNetns tells whether the calling thread is in the network namespace of
// the first process: the machine's own, or the container's.
func FirstNetns() bool {
	first, err := os.Stat("/proc/1/ns/net")
	if err != nil {
		return false
	}
	here, err := os.Stat("/proc/thread-self/ns/net")
	return err == nil && os.SameFile(first, here)
}

// OpenNetns opens the calling thread's network namespace. All who open it
// get the same file, which can be locked.
func OpenNetns() (*os.File, error) {
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	return file, nil
}

// NetnsCookie returns the cookie of the calling thread's network namespace,
// what bpf_get_netns_cookie gives. The error is an ENOPROTOOPT on kernels
// before 5.14.
func NetnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("read network namespace cookie: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("read network namespace cookie (needs Linux 5.14): %w", err)
	}
	return cookie, nil
}
