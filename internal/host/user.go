// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os/user"
	"strconv"
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
