// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"maps"
	"math"
	"strconv"

	"waymark/internal/host"
)

// users are the uids of names, and those names that the host does not know now,
// for their directory is away, say. These have the uid that they had, as long as
// nobody asks for another policy than the one in force.
func (l *Loader) users(names []string, want wanted, overrides []Override, state *State) (uids map[string]uint32, gone []string) {
	uids = host.Users(names)
	var had map[string]uint32
	for _, name := range names {
		if _, ok := uids[name]; ok {
			continue
		}
		if had == nil {
			had = l.usersBefore(want, overrides, state)
		}
		if uid, ok := had[name]; ok {
			uids[name] = uid
			gone = append(gone, name)
		}
	}
	return uids, gone
}

// usersBefore are the users that what is wanted had when it came in force, if
// it has.
func (l *Loader) usersBefore(want wanted, overrides []Override, state *State) map[string]uint32 {
	had := map[string]uint32{}
	for _, o := range overrides {
		maps.Copy(had, o.Users)
	}
	maps.Copy(had, want.users)
	inForce := l.memory != nil && l.memory.policy == want.policy
	if state != nil && !inForce {
		theirs, err := state.digest()
		inForce = err == nil && theirs == digest(want.policy.Files())
	}
	if inForce && state != nil {
		maps.Copy(had, state.Users)
	}
	return had
}

// nobodys is the uid that stands for none, (uid_t)-1.
const nobodys = math.MaxUint32

// User is the uid that a name or a number stands for.
func User(text string) (uint32, error) {
	if uid, err := strconv.ParseUint(text, 10, 32); err == nil && uid != nobodys {
		return uint32(uid), nil
	}
	if uid, ok := host.Users([]string{text})[text]; ok {
		return uid, nil
	}
	if text == strconv.Itoa(nobodys) {
		return 0, fmt.Errorf("uid %s is nobody's: they go from 0 to %d", text, nobodys-1)
	}
	return 0, fmt.Errorf("user %q does not exist on this host", text)
}

// Groups is a user's primary group and all groups it is in.
func Groups(uid uint32) (gid uint32, groups []uint32) { return host.Groups(uid) }

// Account is what a login gives a user beside its groups.
type Account = host.Account

// AccountOf returns a uid's.
func AccountOf(uid uint32) Account { return host.AccountOf(uid) }
