// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"slices"

	"waymark/internal/registry"
)

// markUse is a filter's rule that looks at marks, or changes them.
type markUse struct {
	rule   string // as its owner would write it
	owner  string // by the names of its table and chain; "": to be told by the mark
	remove string // the command that removes it
	kind   useKind
	mark   Mark // that it matches, or sets; of a restore or a save, the mask
	comes  bool // it stands where packets come in, and sees none that the host itself sends
}

type useKind int

const (
	matches   useKind = iota
	sets              // the packet's mark
	restores          // the packet's mark, from the connection's
	remembers         // sets the connection's mark
)

// finding judges it. Its bits are those that it looks at, or changes.
func (h Host) finding(u markUse) Finding {
	if u.owner == "" {
		u.owner = knownFor(u.mark)
	}
	common := u.mark.Mask & uint32(h.Mask)
	switch {
	case u.kind == matches:
		return h.markFinding(u.rule, u.owner, u.mark, u.remove)
	case u.kind == remembers:
		return h.memoryFinding(u, common)
	case common == 0:
		return Finding{Note, u.rule, u.owner, fmt.Sprintf("the bits %#x of the fwmark are its own; Waymark never changes them", u.mark.Mask), ""}
	}
	f := Finding{Serious, u.rule, u.owner, "", ""}
	if u.kind == restores {
		f.Why = fmt.Sprintf("it replaces the bits %#x, in which Waymark's class stands, by what the connection's mark has there", common)
		f.Cure = fmt.Sprintf("have it restore its own bits only (iptables: `--nfmask %#x --ctmask %#x`), or `%s`", ^uint32(h.Mask), ^uint32(h.Mask), u.remove)
	} else {
		f.Why = fmt.Sprintf("it overwrites the bits %#x, in which Waymark's class stands, of every packet that it takes", common)
		f.Cure = fmt.Sprintf("have it set its own bits only (nft: `meta mark set meta mark and %#x or ...`, iptables: `--set-xmark MARK/MASK`, tc: `mark MARK/MASK`), or `%s`", uint32(h.Mask), u.remove)
	}
	if u.kind == restores && u.comes && !h.Facts.Forwards() {
		f.Severity, f.Why = Warning, f.Why+": of what comes in, and only what is forwarded has a class there. This host forwards nothing now"
	}
	return f
}

// memoryFinding judges what changes the marks of connections, in which Waymark
// keeps, on a host that forwards, the uplink that was asked.
func (h Host) memoryFinding(u markUse, common uint32) Finding {
	f := Finding{Note, u.rule, u.owner, fmt.Sprintf("the bits %#x of connections' marks are its own; Waymark never changes them", u.mark.Mask), ""}
	if common == 0 {
		return f
	}
	f.Why = fmt.Sprintf("it overwrites the bits %#x of connections' marks: on a host that forwards, and has several uplinks, Waymark keeps there which of them was asked", common)
	f.Cure = fmt.Sprintf("have it change its own bits only (nft: `ct mark set ct mark and %#x or ...`, iptables: `--nfmask %#x --ctmask %#x`), or `%s`", uint32(h.Mask), ^uint32(h.Mask), ^uint32(h.Mask), u.remove)
	if h.Plan != nil && len(h.Plan.Answers) > 0 {
		f.Severity = Serious
	}
	return f
}

// taken are the bits of the fwmark that something other than rules was seen to
// give a meaning.
func (h Host) taken() (bits uint32) {
	h.eachUse(func(u markUse) {
		if t := (registry.Tool{Mark: u.mark.Mark, Mask: u.mark.Mask}); u.kind == matches {
			bits |= t.Bits()
		} else if !t.Whole() {
			bits |= u.mark.Mask // of a whole mark that is set no choice keeps clear
		}
	})
	for _, sign := range registry.Signs {
		if sign.Made(h.names()) != "" {
			claimed, _ := uses(sign.Tool)
			bits |= claimed
		}
	}
	for mark := range h.strangers() {
		bits |= mark
	}
	return bits
}

// eachUse calls do with all that filters, tc and IPsec do with marks.
func (h Host) eachUse(do func(markUse)) {
	h.eachNftUse(do)
	h.eachIptablesUse(do)
	for _, u := range slices.Concat(h.TC, h.Xfrm) {
		kind := matches
		if u.Sets {
			kind = sets
		}
		do(markUse{rule: u.What, remove: u.Remove, kind: kind, mark: u.Mark})
	}
}

func filterFindings(h Host) (found []Finding) {
	h.eachUse(func(u markUse) { found = append(found, h.finding(u)) })
	return found
}
