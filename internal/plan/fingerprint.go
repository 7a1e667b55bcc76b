// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"

	"waymark/internal/match"
)

// Fingerprint says in a few bytes what the BPF maps hold for the plan:
// matches, marks, cgroups, classes and uplinks.
func (p *Plan) Fingerprint() string {
	sum := sha256.New()
	b := bufio.NewWriterSize(sum, 64<<10)
	fmt.Fprintln(b, p.Mask, p.Main, p.WholeMarks, p.Inside, p.ByMain, p.Off)
	for _, u := range p.Uplinks {
		// What is withdrawn is not usable, with a link or without: one that flaps fills no maps.
		fmt.Fprintln(b, u.Name, u.Number, u.Index, u.Up || u.Withdrawn != "", u.Sources, u.Families)
	}
	for _, c := range p.Classes {
		fmt.Fprintln(b, c.Number, c.Slot, c.Route.Uplinks, c.Route.Weights, c.Fate)
	}
	for _, a := range p.Answers {
		fmt.Fprintln(b, a.Interface, a.Mark)
	}
	var line []byte
	for i := range p.Lines {
		line = p.Lines[i].append(line[:0])
		// A hash takes everything.
		_, _ = b.Write(line)
	}
	_ = b.Flush()
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// append adds what of a line the maps hold, each list with its length. There
// can be a hundred thousand lines, which package fmt takes a quarter of a
// second for.
func (l *Line) append(b []byte) []byte {
	m := &l.Match
	b = number(b, l.Class)
	b = number(b, len(m.Cgroup))
	for _, c := range m.Cgroup {
		b = fmt.Append(b, c)
	}
	for _, ranges := range [][]match.Range{m.UID, m.Proto, m.Sport, m.Dport, m.IIF} {
		b = number(b, len(ranges))
		for _, r := range ranges {
			b = binary.LittleEndian.AppendUint64(b, uint64(r.Lo)<<32|uint64(r.Hi))
		}
	}
	for _, prefixes := range [][]netip.Prefix{m.Src, m.Dst} {
		b = number(b, len(prefixes))
		for _, p := range prefixes {
			a := p.Addr().As16()
			b = number(append(b, a[:]...), p.Addr().BitLen()<<8|p.Bits())
		}
	}
	return b
}

func number(b []byte, n int) []byte { return binary.LittleEndian.AppendUint32(b, uint32(n)) }
