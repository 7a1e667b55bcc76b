// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
)

// Heirs says, by the mark of every class of the last plan, which mark the
// class of that name has by this one: another when its route changed, the
// same when it did not, or when the class is gone.
func (p *Plan) Heirs(before Numbers) map[uint32]uint32 {
	heirs := map[uint32]uint32{}
	for name, number := range before.Classes {
		mark := before.Mask.Spread(number)
		heirs[mark] = mark
		if now, ok := p.Numbers.Classes[name]; ok {
			heirs[mark] = p.Mask.Spread(now)
		}
	}
	return heirs
}

// Pin is a source that the rules send by one uplink, whatever its mark.
type Pin struct {
	Source netip.Prefix
	Uplink int // number
}

// Pins are the uplinks' own addresses, as the ladder has them.
func (p *Plan) Pins() (pins []Pin) {
	uplinks := map[uint32]int{}
	for _, u := range p.Uplinks {
		uplinks[u.Table] = u.Number
	}
	for _, r := range p.Rules {
		if number, ok := uplinks[r.Table]; ok && r.From.IsValid() && r.Mask == 0 && r.Action == Lookup {
			pins = append(pins, Pin{Source: r.From, Uplink: number})
		}
	}
	return pins
}

// Frees tells whether the plan gives up rules, or a number to somebody else,
// that a socket may still go by.
func (p *Plan) Frees(before Numbers) bool {
	if len(before.Classes) == 0 || before.Mask != p.Mask {
		return false
	}
	for _, b := range before.Blocks {
		if !slices.ContainsFunc(p.Blocks, func(now Block) bool { return now.First == b.First && now.Size == b.Size }) {
			return true
		}
	}
	for name, number := range p.Numbers.Classes {
		if old, ok := before.Classes[name]; !ok || old != number {
			return true
		}
	}
	return false
}
