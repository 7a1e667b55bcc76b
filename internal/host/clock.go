// SPDX-License-Identifier: Apache-2.0

package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// SinceBoot is the time since the machine started (CLOCK_BOOTTIME): sleep
// counts, and nobody sets it.
func SinceBoot() time.Duration {
	var t unix.Timespec
	// The only errors are those of a clock that does not exist.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}
