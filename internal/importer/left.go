// SPDX-License-Identifier: Apache-2.0

package importer

import "errors"

// Left is something that is not carried over.
type Left struct {
	What string `json:"what"` // as its owner would write it
	Why  string `json:"why"`  // and what can be done
}

// leave names what is not carried over, once: a rule for both families is looked
// at twice.
func (c *carrier) leave(what, why string) {
	if l := (Left{what, why}); !c.said[l] {
		c.said[l], c.left = true, append(c.left, l)
	}
}

// noWay says that there is no way out, and what might have been one.
func (c *carrier) noWay() error {
	text := "import a policy: nothing that was read has a default route: connect an uplink, or name the files that know it"
	for _, l := range c.left {
		text += "\nnot carried over: " + l.What + ": " + l.Why
	}
	return errors.New(text)
}
