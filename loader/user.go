// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"strconv"

	"waymark/internal/host"
)

// User is the uid that a name or a number stands for.
func User(text string) (uint32, error) {
	if uid, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(uid), nil
	}
	if uid, ok := host.Users([]string{text})[text]; ok {
		return uid, nil
	}
	return 0, fmt.Errorf("user %q does not exist on this host", text)
}

// Groups is a user's primary group and all groups it is in.
func Groups(uid uint32) (gid uint32, groups []uint32) { return host.Groups(uid) }
