// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os/user"
	"strconv"
)

// Groups returns a user's primary group and all groups it is in. A uid that
// nobody has is its own group, and in no other.
func Groups(uid uint32) (gid uint32, groups []uint32) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return uid, nil
	}
	names, err := u.GroupIds()
	if err != nil {
		names = []string{u.Gid}
	}
	for _, name := range names {
		if id, err := strconv.ParseUint(name, 10, 32); err == nil {
			groups = append(groups, uint32(id))
		}
	}
	primary, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return uid, groups
	}
	return uint32(primary), groups
}
