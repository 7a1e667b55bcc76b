// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"

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
