// SPDX-License-Identifier: Apache-2.0

package web

import (
	"time"

	"golang.org/x/sys/unix"
)

// wait is false when there is nobody to read for any more. Whoever changed
// something looks for what came of it.
func (s *stream) wait(ends <-chan struct{}, begun time.Time, pace time.Duration) bool {
	for {
		select {
		case <-ends:
			return false
		case <-s.newer:
			pace = s.every
		case <-time.After(pace - time.Since(begun)):
			return true
		}
	}
}

// hurry has the next reading come as soon as any may.
func (s *stream) hurry() {
	select {
	case s.newer <- true:
	default:
	}
}

const (
	share   = 192             // of a CPU's time, one part in so many is the page's
	slowest = 5 * time.Second // however many classes are busy
)

// pace is the time from one reading to the next, when one takes so much CPU
// time: with some hundreds of busy classes they come less often.
func (s *stream) pace(took time.Duration) time.Duration {
	return max(s.every, min(slowest, share*took))
}

// threadTime is the CPU time that the calling thread has used.
func threadTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &u) // it only fails for what there is not
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
