// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
)

// Outline is as much of a policy as Difference compares. A hundred thousand
// matches are a few bytes of it, so that a state can be compared with the next
// one without reading its policy again.
type Outline struct {
	Mask      uint32          `json:"mask"`
	Rules     int             `json:"rules"`  // Rules.Base
	Tables    int             `json:"tables"` // Tables.Base
	Sockets   []string        `json:"sockets,omitempty"`
	Telemetry []Group         `json:"telemetry,omitempty"` // Telemetry.Off
	Balance   Spread          `json:"balance,omitempty"`   // Balance.By, but for the default
	Uplinks   []UplinkOutline `json:"uplinks"`
	Classes   []ClassOutline  `json:"classes"`
}

// UplinkOutline is an uplink as a policy says it.
type UplinkOutline struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// ClassOutline is a class, with a digest of its matches.
type ClassOutline struct {
	Name      string    `json:"name"`
	Route     string    `json:"route"` // Class.RouteText
	Otherwise Otherwise `json:"otherwise"`
	Existing  Fate      `json:"existing"`
	Strict    bool      `json:"strict,omitempty"`
	Matches   string    `json:"matches"`
}

// Outline is the policy's outline.
func (p *Policy) Outline() Outline {
	o := Outline{Mask: p.Mark.Mask, Rules: p.Rules.Base, Tables: p.Tables.Base, Sockets: p.Runtimes.Sockets, Telemetry: p.Telemetry.Off}
	if p.Balance.By != SpreadFlow {
		o.Balance = p.Balance.By
	}
	for i := range p.Uplinks {
		var text strings.Builder
		p.Uplinks[i].print(&text)
		o.Uplinks = append(o.Uplinks, UplinkOutline{p.Uplinks[i].Name, text.String()})
	}
	for i := range p.Classes {
		c := &p.Classes[i]
		o.Classes = append(o.Classes, ClassOutline{c.Name, c.routeText(), c.Otherwise, c.Existing, c.Strict, c.digest()})
	}
	return o
}

// digest is the same for two classes whose matches say the same.
func (c *Class) digest() string {
	sum := sha256.New()
	var b []byte
	for i := range c.Matches {
		if b = c.Matches[i].appendTo(b); len(b) > 64<<10 || i == len(c.Matches)-1 {
			sum.Write(b)
			b = b[:0]
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// appendTo adds all that a match says, each list with its length and each text
// with its own, so that no two matches look alike.
func (m *Match) appendTo(b []byte) []byte {
	b = appendAll(b, m.Cgroup, appendText)
	b = appendAll(b, m.Unit, func(b []byte, u Unit) []byte { return appendText(b, u.String()) })
	b = appendAll(b, m.Container, func(b []byte, c Container) []byte { return appendText(b, c.String()) })
	b = appendAll(b, m.UID, func(b []byte, u User) []byte { return appendText(b, u.String()) })
	b = appendAll(b, m.Proto, func(b []byte, p uint8) []byte { return append(b, p) })
	b = appendAll(b, m.Src, appendPrefix)
	b = appendAll(b, m.Dst, appendPrefix)
	b = appendAll(b, m.Sport, appendPorts)
	b = appendAll(b, m.Dport, appendPorts)
	return appendAll(b, m.IIF, appendText)
}

func appendAll[T any](b []byte, all []T, one func([]byte, T) []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, x := range all {
		b = one(b, x)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendPrefix(b []byte, p netip.Prefix) []byte {
	a := p.Addr().As16()
	return append(append(b, a[:]...), byte(p.Addr().BitLen()), byte(p.Bits()))
}

func appendPorts(b []byte, r PortRange) []byte {
	return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, r.Lo), r.Hi)
}
