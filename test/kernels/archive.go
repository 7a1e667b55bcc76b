// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// An archive writes the format that the kernel unpacks an initramfs from:
// cpio, "new ASCII" (Documentation/driver-api/early-userspace/buffer-format.rst).
// The first error stays; end returns it.
type archive struct {
	to      io.Writer
	inode   int
	folders map[string]bool
	failed  error
}

// The types of an entry, as in the mode that stat(2) gives.
const (
	typeFolder  = 0o040000
	typeFile    = 0o100000
	typeDevice  = 0o020000
	trailerName = "TRAILER!!!"
)

// folder adds a folder and those above it, each once.
func (a *archive) folder(name string) {
	name = path.Clean(name)
	if name == "/" || name == "." || a.folders[name] {
		return
	}
	if a.folders == nil {
		a.folders = map[string]bool{}
	}
	a.folder(path.Dir(name))
	a.folders[name] = true
	a.entry(name, typeFolder|0o755, nil, 0, 0)
}

// file adds a regular file, and its folder.
func (a *archive) file(name string, permissions int, data []byte) {
	a.folder(path.Dir(name))
	a.entry(name, typeFile|permissions, data, 0, 0)
}

// device adds a character device, and its folder.
func (a *archive) device(name string, major, minor int) {
	a.folder(path.Dir(name))
	a.entry(name, typeDevice|0o600, nil, major, minor)
}

// end completes the archive.
func (a *archive) end() error {
	a.entry(trailerName, 0, nil, 0, 0)
	return a.failed
}

func (a *archive) fail(err error) {
	if a.failed == nil {
		a.failed = err
	}
}

// entry writes thirteen numbers of eight hexadecimal digits, the name with a
// zero, and the data, header and data each filled up to four bytes.
func (a *archive) entry(name string, mode int, data []byte, major, minor int) {
	if a.failed != nil {
		return
	}
	a.inode++
	name = strings.TrimPrefix(name, "/") + "\x00"
	header := "070701"
	for _, n := range []int{
		a.inode, mode, 0, 0, 1, 0, len(data), // inode, mode, uid, gid, links, time, size
		0, 0, major, minor, len(name), 0, // the file system's device, the device itself, name, checksum
	} {
		header += fmt.Sprintf("%08x", n)
	}
	header += name
	for _, part := range []string{header, fill(len(header)), string(data), fill(len(data))} {
		if _, err := io.WriteString(a.to, part); err != nil {
			a.fail(err)
			return
		}
	}
}

func fill(length int) string { return "\x00\x00\x00"[:(4-length%4)%4] }
