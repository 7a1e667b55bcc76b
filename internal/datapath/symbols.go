// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// DropReason is the name of one of the kernel's reasons to drop a packet,
// without what all of them begin with: NO_SOCKET. One that has no name is its
// number.
func DropReason(reason uint32) string {
	if name, ok := dropReasons()[uint64(reason)]; ok {
		return name
	}
	return strconv.FormatUint(uint64(reason), 10)
}

var dropReasons = sync.OnceValue(func() map[uint64]string {
	names := map[uint64]string{}
	kernel, err := kernelTypes.Kernel()
	if err != nil {
		return names
	}
	var reasons *btf.Enum
	if kernel.TypeByName("skb_drop_reason", &reasons) != nil {
		return names
	}
	for _, v := range reasons.Values {
		names[v.Value] = strings.TrimPrefix(v.Name, "SKB_DROP_REASON_")
	}
	return names
})

// symbol is a function of the kernel's.
type symbol struct {
	at   uint64
	name string
}

// KernelFunction is the name of the kernel's function that an address of its
// code is in; "" where the kernel does not tell.
func KernelFunction(address uint64) string {
	all := kernelFunctions()
	i, there := slices.BinarySearchFunc(all, address, func(s symbol, a uint64) int {
		switch {
		case s.at < a:
			return -1
		case s.at > a:
			return 1
		}
		return 0
	})
	if there {
		return all[i].name
	}
	if i == 0 {
		return ""
	}
	return all[i-1].name
}

var kernelFunctions = sync.OnceValue(func() (all []symbol) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var s symbol
		var kind string
		if n, _ := fmt.Sscanf(lines.Text(), "%x %s %s", &s.at, &kind, &s.name); n == 3 && s.at != 0 && strings.ContainsAny(kind, "tTwW") {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b symbol) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
	return all
})
