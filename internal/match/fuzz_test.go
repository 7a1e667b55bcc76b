// SPDX-License-Identifier: Apache-2.0

package match

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// dice are random numbers that the fuzzer chooses, as long as its bytes
// last, and others after.
type dice struct {
	chosen []byte
	rest   rand.Source
}

func (d *dice) Uint64() uint64 {
	if len(d.chosen) == 0 {
		return d.rest.Uint64()
	}
	var raw [8]byte
	// Small ranges are decided by the highest bits.
	n := copy(raw[:2], d.chosen)
	d.chosen = d.chosen[n:]
	return binary.BigEndian.Uint64(raw[:])
}

// FuzzCompile compiles lines of the fuzzer's choice: the table answers as
// the list does.
func FuzzCompile(f *testing.F) {
	f.Add([]byte(nil), uint64(1), uint16(1))
	f.Add([]byte("\x00\x00\xff\xff\x80\x00"), uint64(2), uint16(65))
	f.Add(make([]byte, 200), uint64(3), uint16(199))
	f.Fuzz(func(t *testing.T, chosen []byte, seed uint64, lines uint16) {
		r := rand.New(&dice{chosen, rand.NewPCG(seed, 0)})
		matches := make([]Match, lines%200)
		for i := range matches {
			matches[i] = randomMatch(r)
		}
		table, err := Compile(matches, make([]uint32, len(matches)), Root{Level: AnyLevel})
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			flow := randomFlow(r)
			want, ok := First(matches, flow)
			if got, found := (reader{t, table}).first(flow, len(matches)); got != want || found != ok {
				t.Fatalf("flow %+v: table says %d %v, list %d %v", flow, got, found, want, ok)
			}
		}
	})
}
