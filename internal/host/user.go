// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Users returns the uid of every named user that exists. A program built
// without cgo knows those of /etc/passwd only.
func Users(names []string) map[string]uint32 {
	uids := make(map[string]uint32, len(names))
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		if uid, err := strconv.ParseUint(u.Uid, 10, 32); err == nil {
			uids[name] = uint32(uid)
		}
	}
	return uids
}

// LocalUsers returns the uid of every user of /etc/passwd, by name.
func LocalUsers() (map[string]uint32, error) {
	text, err := os.ReadFile("/etc/passwd")
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]uint32{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	uids := map[string]uint32{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || strings.HasPrefix(line, "#") {
			continue
		}
		if uid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			uids[fields[0]] = uint32(uid)
		}
	}
	return uids, nil
}
