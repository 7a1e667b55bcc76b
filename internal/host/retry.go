// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
)

// attempts is how often a dump is asked for while it is interrupted, with
// a growing pause between, in all about 0.2 s.
const attempts = 20

// retry asks again while the kernel says that it interrupted its answer.
func retry(ask func() error) error {
	for i := range attempts {
		time.Sleep(time.Duration(i) * time.Millisecond)
		if err := ask(); !errors.Is(err, nl.ErrDumpInterrupted) {
			return err
		}
	}
	return fmt.Errorf("changed during each of %d readings: try again when its other writer is done", attempts)
}
