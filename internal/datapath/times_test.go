// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waymark/bpf"
)

// native is a program that says of each number of nanoseconds that it reads
// where the data path counts it.
const native = `
#include "octave.h"
int scanf(const char *, ...);
int printf(const char *, ...);
int main(void)
{
	__u64 ns;
	__u32 part;

	while (scanf("%llu", &ns) == 1)
		printf("%u %u\n", octave_of(ns, &part), part);
	return 0;
}
`

// TestOctaves holds the data path's buckets against the logarithm that they
// stand for.
func TestOctaves(t *testing.T) {
	times := []uint64{0, 1, 59, 60, 61, 1 << 37, 1<<37 + 1, 1 << 63, math.MaxUint64}
	for e := range 37 {
		for k := range octave {
			edge := uint64(math.Exp2(float64(e) + float64(k)/float64(octave)))
			times = append(times, edge-1, edge, edge+1)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		times = append(times, random.Uint64()>>random.IntN(64))
	}
	said := strings.Split(strings.TrimSpace(runNative(t, fmt.Sprintln(times))), "\n")
	if len(said) != len(times) {
		t.Fatalf("%d answers for %d times", len(said), len(times))
	}
	lowest := int(bpf.WaymarkTimeLimitsLOWEST_OCTAVE)
	for n, ns := range times {
		var at, part int
		if _, err := fmt.Sscan(said[n], &at, &part); err != nil {
			t.Fatal(err)
		}
		seconds := float64(max(1, min(ns, 1<<37))) / 1e9
		low := math.Exp2(float64(at+lowest) + float64(part)/float64(octave))
		high := low * math.Exp2(1/float64(octave))
		first, last := at == 0 && part == 0, at+lowest == highestOctave
		if (seconds < low*(1-1e-9) && !first) || (seconds > high*(1+1e-9) && !last) {
			t.Errorf("%d ns are in octave %d, part %d: above %g and up to %g s", ns, at+lowest, part, low, high)
		}
	}
}

func runNative(t *testing.T, input string) string {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "octaves.c"), filepath.Join(dir, "octaves")
	if err := os.WriteFile(source, []byte(native), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("clang-19", "-O1", "-w", "-I../../bpf", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	c := exec.Command(program)
	c.Stdin = strings.NewReader(strings.Trim(strings.TrimSpace(input), "[]"))
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestQuantiles has a known distribution of times counted and asks for its
// quantiles.
func TestQuantiles(t *testing.T) {
	h := newTimes(4, 2)
	random := rand.New(rand.NewPCG(3, 4))
	const n, middle = 100_000, 0.05
	var sum float64
	var all []float64
	for range n {
		s := middle * math.Exp(0.5*random.NormFloat64())
		all, sum = append(all, s), sum+s
		index := int(math.Ceil(math.Log2(s)*float64(octave))) - 1
		at := index>>timeSchema - int(bpf.WaymarkTimeLimitsLOWEST_OCTAVE)
		var count [octave]uint64
		count[index&(octave-1)] = 1
		h.add(bpf.WaymarkTimeKey{Slot: 3, Uplink: 1, Octave: uint8(at)}, &count)
	}
	got := h.histogram(3, 1, bpf.WaymarkTimeKindTIME_RTT, uint64(sum*1e9))
	if got.Count != n || math.Abs(got.Sum-sum) > 1e-3 {
		t.Errorf("%d times of %g s; want %d of %g", got.Count, got.Sum, n, sum)
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.95, 0.99} {
		if want, is := all[int(q*n)], got.Quantile(q); math.Abs(is-want) > 0.1*want {
			t.Errorf("quantile %g is %g; want %g within a tenth", q, is, want)
		}
	}
}
