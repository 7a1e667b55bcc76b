// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"

	"waymark/internal/host"
	"waymark/internal/verify"
	"waymark/loader"
)

// TakeDown is Inject on the host itself: each uplink's interface in turn is
// taken down while processes of every class send, and up again, with what it
// had; then the loader puts back what the kernel lost of the plan. held has to
// be of the policy that is applied. Once done is closed no other interface is
// taken down.
func TakeDown(l *loader.Loader, held *loader.Verified, done <-chan struct{}) (checks []verify.Check, err error) {
	i := &injection{view: newView(held.Plan, held.Facts, held.CgroupRoot, func(f func() error) error { return f() }), done: done}
	defer func() { err = errors.Join(err, i.places.remove()) }()
	i.choose()
	for _, u := range i.Plan.Uplinks {
		if !u.Up {
			continue
		}
		if err := stopped(i.done); err != nil {
			return i.checks, err
		}
		if err := i.outage(l, u.Name, u.Interface); err != nil {
			return i.checks, err
		}
	}
	return i.checks, nil
}

func (i *injection) outage(l *loader.Loader, uplink, device string) error {
	o, err := host.TakeDown(device)
	if err != nil {
		return err
	}
	err = i.try("on the host, "+uplink+" down", verify.Down(i.Plan, uplink))
	err = errors.Join(err, o.End())
	_, healed := l.Heal(loader.Healing{})
	return errors.Join(err, healed)
}
