// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fileidKernfs is FILEID_KERNFS: a file handle that is an inode.
const fileidKernfs = 0xfe

// CgroupPath is the path below root of the cgroup with an id; the whole path
// of one that is elsewhere. An error that is ESTALE says that it is gone.
func CgroupPath(root string, id uint64) (string, error) {
	mount, err := os.Open(root)
	if err != nil {
		return "", fmt.Errorf("find the cgroup of id %d: %w", id, err)
	}
	defer mount.Close()
	handle := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(int(mount.Fd()), handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("find the cgroup of id %d: %w", id, err)
	}
	defer unix.Close(fd)
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", fmt.Errorf("find the cgroup of id %d: %w", id, err)
	}
	below, err := filepath.Rel(root, path)
	if err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return path, nil
	}
	if below == "." {
		return "/", nil
	}
	return below, nil
}
