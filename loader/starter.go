// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/neighbours"
	"waymark/internal/plan"
)

// Starter is a policy to begin with on this host, as text; it changes
// nothing. Errors are those of plan.Starter, or of reading the host.
func (l *Loader) Starter() (string, error) {
	f, err := l.waysOut()
	if err != nil {
		return "", err
	}
	h := neighbours.Host{Mask: plan.Mask(classes.DefaultMask)}
	applied, _ := l.Applied() // whose sockets are no stranger's
	// What may not be read takes no numbers away: `doctor` and `plan` say so.
	if l.judgeBy(applied, &h) != nil {
		h.Facts = f
	}
	_ = l.scan(&h)
	_ = scanFilters(&h)
	return plan.Starter(f, neighbours.Free(h))
}

// waysOut are the host's rules, routes, and the links that default routes
// lead by.
func (l *Loader) waysOut() (f plan.Facts, err error) {
	if f.Rules, err = l.rules.Rules(); err != nil {
		return f, err
	}
	if f.Routes, err = l.rules.Routes(); err != nil {
		return f, err
	}
	var interfaces []string
	for _, r := range f.Routes {
		for _, h := range r.Hops {
			if r.IsDefault() && h.Interface != "" {
				interfaces = append(interfaces, h.Interface)
			}
		}
	}
	f.Links, err = host.Links(interfaces)
	return f, err
}
