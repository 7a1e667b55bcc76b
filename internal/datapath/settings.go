// SPDX-License-Identifier: Apache-2.0

package datapath

import "waymark/internal/plan"

// Settings are what an instance cannot change while it lives: the programs
// are verified with them as constants, and the maps are sized by them.
type Settings struct {
	Mask        plan.Mask `json:"mask"`
	NetnsCookie uint64    `json:"netnsCookie"` // SO_NETNS_COOKIE; sockets of other namespaces are left alone
	Slots       uint32    `json:"slots"`       // lines of counters, the first for what is unclassed
	UplinkLimit uint32    `json:"uplinkLimit"` // uplinks that there can be
}

// Room is given out in steps, with an eighth to spare: another instance that
// takes over costs more than a few lines that nobody uses, but each of these is
// there on every CPU.
const (
	slotStep   = 64
	slotSpare  = 8
	uplinkStep = 4
)

// SettingsFor are settings with room for a plan and its next ones.
func SettingsFor(p *plan.Plan, netnsCookie uint64) Settings {
	slots, limit := uint32(1), uint32(1)
	for _, s := range p.Numbers.Slots {
		slots = max(slots, s+1)
	}
	for _, n := range p.Numbers.Uplinks {
		limit = max(limit, uint32(n)+1)
	}
	return Settings{Mask: p.Mask, NetnsCookie: netnsCookie,
		Slots: min(plan.MostSlots, upTo(slotStep, slots+slots/slotSpare)), UplinkLimit: upTo(uplinkStep, limit)}
}

// upTo is the next multiple of a step.
func upTo(step, n uint32) uint32 { return (n + step - 1) / step * step }

// Hold tells whether an instance with these settings can carry a plan.
func (s Settings) Hold(p *plan.Plan, netnsCookie uint64) bool {
	need := SettingsFor(p, netnsCookie)
	for _, slot := range p.Numbers.Slots {
		if slot >= s.Slots {
			return false
		}
	}
	return s.Mask == need.Mask && s.NetnsCookie == netnsCookie && need.UplinkLimit <= s.UplinkLimit
}
