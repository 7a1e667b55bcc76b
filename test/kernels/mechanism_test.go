// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

func TestMain(m *testing.M) {
	if lab.ClientMain() {
		return
	}
	os.Exit(m.Run())
}

// tries are the mechanisms, each tried on a stand. One that is skipped does
// not work on this kernel; none can fail, for the page says which do.
var tries = map[string]func(*testing.T, *stand){
	"tcx link":                                            tryTCX,
	"clsact filter":                                       tryClsact,
	"cgroup/sock_create writes the mark":                  trySockCreate,
	"cgroup/connect4 and 6 set SO_MARK":                   tryConnect,
	"cgroup/sendmsg4 and 6 set SO_MARK":                   trySendmsg,
	"cgroup/sendmsg4 and 6 rewrite the datagram's source": trySource,
	"bpf_loop": tryLoop,
	"iter/tcp sets SO_MARK on an open socket":                   func(t *testing.T, s *stand) { tryRemark(t, s, lab.TCP) },
	"iter/udp sets SO_MARK on an open socket":                   func(t *testing.T, s *stand) { tryRemark(t, s, lab.UDP) },
	"iter/udp writes an open socket's storage":                  tryStorage,
	"bpf_sock_destroy from iter/tcp":                            func(t *testing.T, s *stand) { tryDestroy(t, s, lab.TCP) },
	"bpf_sock_destroy from iter/udp":                            func(t *testing.T, s *stand) { tryDestroy(t, s, lab.UDP) },
	"bpf_fib_lookup by mark, and bpf_redirect_neigh there":      func(t *testing.T, s *stand) { tryLookup(t, s, lookupMark) },
	"bpf_fib_lookup in one table, and bpf_redirect_neigh there": func(t *testing.T, s *stand) { tryLookup(t, s, lookupDirect|lookupTable) },
	"BPF_PROG_TEST_RUN on a packet shorter than its header":     tryShortPacket,
	applies: tryApply,
}

func TestEveryMechanismIsTried(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(slices.Values(mechanisms)), slices.Sorted(maps.Keys(tries))); diff != "" {
		t.Errorf("the page's (-) and those that are tried (+):\n%s", diff)
	}
}

// TestMechanisms is run by `make test-kernels`, on every kernel.
func TestMechanisms(t *testing.T) {
	if os.Getenv(binaryVariable) == "" {
		t.Skip("not a guest of `make test-kernels`")
	}
	s := newStand(t)
	for _, name := range mechanisms {
		t.Run(name, func(t *testing.T) { tries[name](t, s) })
	}
}
