// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
)

// markUse is a filter's rule that looks at marks, or changes them.
type markUse struct {
	rule   string // as its owner would write it
	remove string // the command that removes it
	kind   useKind
	mark   Mark // that it matches, or sets; of a restore, the mask
}

type useKind int

const (
	matches useKind = iota
	sets
	restores // from the connection's mark
)

// finding judges it. Its bits are those that it looks at, or changes.
func (h Host) finding(u markUse) Finding {
	owner := knownFor(u.mark)
	if u.kind == matches {
		return h.markFinding(u.rule, owner, u.mark, u.remove)
	}
	common := u.mark.Mask & uint32(h.Mask)
	if common == 0 {
		return Finding{Note, u.rule, owner, fmt.Sprintf("the bits %#x of the fwmark are its own; Waymark never changes them", u.mark.Mask), ""}
	}
	why := fmt.Sprintf("it overwrites the bits %#x, in which Waymark's class stands, of every packet that it takes", common)
	cure := fmt.Sprintf("have it set its own bits only (nft: `meta mark set meta mark and %#x or ...`, iptables: `--set-xmark MARK/MASK`), or `%s`", uint32(h.Mask), u.remove)
	if u.kind == restores {
		why = fmt.Sprintf("it replaces the bits %#x, in which Waymark's class stands, by what the connection's mark has there", common)
		cure = fmt.Sprintf("have it restore its own bits only (iptables: `--nfmask %#x --ctmask %#x`), or `%s`", ^uint32(h.Mask), ^uint32(h.Mask), u.remove)
	}
	return Finding{Serious, u.rule, owner, why, cure}
}
