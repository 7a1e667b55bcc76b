// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"waymark/internal/host"
	"waymark/internal/plan"
)

// Starter is a policy to begin with on this host, as text; it changes
// nothing. Errors are those of plan.Starter, or of reading the host.
func (l *Loader) Starter() (string, error) {
	var f plan.Facts
	var err error
	if f.Rules, err = l.rules.Rules(); err != nil {
		return "", err
	}
	if f.Routes, err = l.rules.Routes(); err != nil {
		return "", err
	}
	var interfaces []string
	for _, r := range f.Routes {
		for _, h := range r.Hops {
			if r.IsDefault() && h.Interface != "" {
				interfaces = append(interfaces, h.Interface)
			}
		}
	}
	if f.Links, err = host.Links(interfaces); err != nil {
		return "", err
	}
	return plan.Starter(f)
}
