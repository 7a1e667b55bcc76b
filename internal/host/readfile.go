// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// mostOwn bounds what is read of a file that Waymark wrote itself, in bytes.
const mostOwn = 16 << 20

// ReadOwn reads a file that Waymark wrote itself, or what somebody put in its
// place: a pipe that nobody writes to, or a device without end, is an error.
func ReadOwn(path string) ([]byte, error) {
	// The kernel waits for a pipe's writer otherwise.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	refuse := func(why string) ([]byte, error) {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New(why)}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return refuse("it is no regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, mostOwn+1))
	if len(text) > mostOwn {
		return refuse("it is longer than any that waymark writes")
	}
	return text, err
}
