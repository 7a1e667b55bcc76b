// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"runtime"
	"sync"
)

// partSize is how many things are worth another goroutine.
const partSize = 2048

// parts is in how many parts inParts does n things.
func parts(n int) int { return max(1, min(runtime.GOMAXPROCS(0), n/partSize)) }

// inParts calls do for n things in parts, from lo to before hi, all at once. It
// returns when all of them are done.
func inParts(n int, do func(part, lo, hi int)) {
	count := parts(n)
	var running sync.WaitGroup
	for part := 1; part < count; part++ {
		running.Go(func() { do(part, part*n/count, (part+1)*n/count) })
	}
	do(0, 0, n/count)
	running.Wait()
}
