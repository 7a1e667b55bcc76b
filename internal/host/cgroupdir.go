// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// child is a cgroup in the directory of another.
type child struct {
	name string
	id   uint64
}

// childrenOf are the cgroups in a directory. A cgroup's id is its inode, which the
// kernel lists beside the name: to ask for those of ten thousand, one by one,
// takes as long as all else that is done with them.
func childrenOf(dir *os.File) (all []child, err error) {
	room := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(int(dir.Fd()), room)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return all, err
		}
		for list := room[:n]; len(list) > 0; {
			var c child
			var is bool
			c, is, list = firstChild(list)
			if is {
				all = append(all, c)
			}
		}
	}
}

// firstChild takes the first entry off a list of struct linux_dirent64; is tells
// whether it is a cgroup below.
func firstChild(list []byte) (c child, is bool, rest []byte) {
	var d unix.Dirent
	length := binary.NativeEndian.Uint16(list[unsafe.Offsetof(d.Reclen):])
	name, _, _ := bytes.Cut(list[unsafe.Offsetof(d.Name):length], []byte{0})
	c = child{string(name), binary.NativeEndian.Uint64(list[unsafe.Offsetof(d.Ino):])}
	is = list[unsafe.Offsetof(d.Type)] == unix.DT_DIR && c.name != "." && c.name != ".."
	return c, is, list[length:]
}
