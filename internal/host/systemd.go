// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// systemdPatience is for systemd's answer. Without it one does without.
const systemdPatience = 2 * time.Second

// UnknownUnits returns those of some system units that systemd has neither a
// file of nor running, in the order of names; nil where no systemd answers.
func UnknownUnits(names []string) (unknown []string) {
	if len(names) == 0 {
		return nil
	}
	_ = onSystemd(func(ctx context.Context, systemd *dbus.Conn) error {
		for _, name := range names {
			// One by one: a name that systemd takes for no name would fail them all.
			units, err := systemd.ListUnitsByNamesContext(ctx, []string{name})
			if err == nil && len(units) == 1 && units[0].LoadState == "not-found" {
				unknown = append(unknown, name)
			}
		}
		return nil
	})
	return unknown
}
