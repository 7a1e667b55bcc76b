// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// ObjectID says which build of the programs this binary carries: two
// binaries with equal ids load the same instructions.
func ObjectID() string { return objectID() }

var objectID = sync.OnceValue(func() string {
	sum := sha256.Sum256(_WaymarkBytes)
	return hex.EncodeToString(sum[:8])
})
