// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
	"waymark/internal/plan"
)

var long = flag.Bool("long", false, "try a million headers, a set of 100,000 rules, every kill, and 10,000 cycles")

// oracleMask has gaps, and bits for 65,535 classes.
const oracleMask plan.Mask = 0x0ff0ff00

const oracleIIFs = 5

// TestOracle runs random headers of random rule sets through the ingress
// program in the kernel, each twice: it gives each the mark of the first line
// that holds in file order.
func TestOracle(t *testing.T) {
	sets, headers, sizes := 2, 600, []int{1, 10, 64, 300, 1500}
	if *long {
		sets, headers, sizes = 10, 4000, []int{1, 10, 64, 100, 500, 2000, 8000}
	}
	e := newEngine(t, oracleMask, oracleIIFs)
	for _, s := range shapes {
		for _, n := range sizes {
			for i := range sets {
				t.Run(fmt.Sprintf("%s/%d lines/%d", s, n, i), func(t *testing.T) {
					g := &generator{Rand: rand.New(rand.NewPCG(uint64(n), uint64(i)))}
					e.agrees(t, g, s, n, headers)
				})
			}
		}
	}
	if *long {
		t.Run("100000 lines", func(t *testing.T) {
			for _, s := range shapes {
				e.agrees(t, &generator{Rand: rand.New(rand.NewPCG(100000, 0))}, s, 100_000, 5000)
			}
		})
	}
	t.Logf("%d headers", e.ran)
}

// agrees holds the program against the definition.
func (e *engine) agrees(t *testing.T, g *generator, s shape, lines, headers int) {
	t.Helper()
	set := make([]match.Match, lines)
	for i := range set {
		set[i] = g.line(s)
	}
	here := append(cgroupNames, "")[g.IntN(len(cgroupNames)+1)]
	marks := e.publish(t, set, here)
	won := 0
	for range headers {
		f := g.header(set, here, oracleIIFs)
		if f.Dst.Is6() && isExtension(f.Proto) {
			f.Proto = unix.IPPROTO_TCP
		}
		frame := frameOf(f)
		if !hasPorts(f.Proto) {
			f.Sport, f.Dport = 0, 0
		}
		theirs := g.Uint32() &^ uint32(oracleMask)
		want := theirs
		line, ok := match.First(set, f)
		if ok {
			want |= marks[line]
			won++
		}
		for _, by := range []string{"searched", "remembered"} {
			verdict, got := e.run(t, fmt.Sprintf("ingress %d", f.IIF), frame, theirs)
			if got != want || verdict != tcxNext {
				t.Fatalf("flow %+v, %s: verdict %d, mark %#x; the list says line %d (%v), mark %#x", f, by, verdict, got, line, ok, want)
			}
		}
	}
	if lines >= 64 && won < headers/20 {
		t.Errorf("only %d of %d headers are in a class: the test says little", won, headers)
	}
}

const tcxNext = -1

func hasPorts(proto uint32) bool {
	switch proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP:
		return true
	}
	return false
}

// isExtension tells the protocol numbers that are no transport in IPv6.
func isExtension(proto uint32) bool {
	switch proto {
	case unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_FRAGMENT, unix.IPPROTO_AH, unix.IPPROTO_DSTOPTS, unix.IPPROTO_MH:
		return true
	}
	return false
}

// frameOf is the smallest frame of a flow.
func frameOf(f match.Flow) []byte {
	transport := make([]byte, 8)
	order.BigEndian.PutUint16(transport, uint16(f.Sport))
	order.BigEndian.PutUint16(transport[2:], uint16(f.Dport))
	if f.Dst.Is4() {
		h := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, byte(f.Proto), 0, 0}
		return ethernet(unix.ETH_P_IP, h, f.Src.AsSlice(), f.Dst.AsSlice(), transport)
	}
	h := []byte{0x60, 0, 0, 0, 0, 8, byte(f.Proto), 64}
	return ethernet(unix.ETH_P_IPV6, h, f.Src.AsSlice(), f.Dst.AsSlice(), transport)
}

// ethernet is a frame of an ethertype.
func ethernet(etherType uint16, parts ...[]byte) []byte {
	frame := append(make([]byte, 12), byte(etherType>>8), byte(etherType))
	for _, p := range parts {
		frame = append(frame, p...)
	}
	return frame
}
