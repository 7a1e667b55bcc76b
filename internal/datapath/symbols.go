// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// DropReason is the name of one of the kernel's reasons to drop a packet,
// without what all of them begin with: NO_SOCKET. One that has no name is its
// number.
func DropReason(reason uint32) string {
	// Without the kernel's types there are only numbers.
	names, _ := reasonNames()
	if name, ok := names[reason]; ok {
		return name
	}
	return fmt.Sprintf("%#x", reason)
}

// dropReasonNamed is the kernel's number of a reason; 0, which is none, where it has no such.
func dropReasonNamed(name string) uint32 {
	names, _ := reasonNames()
	for reason, n := range names {
		if n == name {
			return reason
		}
	}
	return 0
}

var reasonNames = sync.OnceValues(dropReasons)

// functions are the names of those addresses that anybody in this process asked
// for: the kernel's list is long, and read anew for each that is new.
var functions = struct {
	sync.Mutex
	names map[uint64]string
}{names: map[uint64]string{}}

// KernelFunction is the name of the kernel's function that an address of its
// code is in; "" where the kernel does not tell.
func KernelFunction(address uint64) string { return kernelFunctions([]uint64{address})[0] }

// kernelFunctions is KernelFunction of several, looked for at once.
func kernelFunctions(addresses []uint64) []string {
	functions.Lock()
	defer functions.Unlock()
	var unknown []uint64
	for _, a := range addresses {
		if _, known := functions.names[a]; !known {
			functions.names[a] = ""
			unknown = append(unknown, a)
		}
	}
	if unknown != nil {
		findFunctions(unknown, functions.names)
	}
	names := make([]string, len(addresses))
	for k, a := range addresses {
		names[k] = functions.names[a]
	}
	return names
}

// findFunctions looks for addresses in the kernel's list. What it cannot read
// has no name.
func findFunctions(addresses []uint64, names map[uint64]string) {
	symbols, err := os.Open("/proc/kallsyms")
	if err != nil {
		return
	}
	defer symbols.Close()
	_ = nameFunctions(symbols, addresses, names)
}

// nameFunctions finds the functions that addresses are in, in a list as
// /proc/kallsyms is: the last that begins before. A list that hides its
// addresses names none.
func nameFunctions(list io.Reader, addresses []uint64, names map[uint64]string) error {
	type function struct {
		begin uint64
		name  []byte
	}
	// Nearly every line is nearer to each address than the one before: no name is made of it yet.
	nearest := make([]function, len(addresses))
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		address, rest, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		kind, name, ok := bytes.Cut(rest, []byte(" "))
		if !ok || !bytes.Contains([]byte("tTwW"), kind) {
			continue
		}
		begin, err := strconv.ParseUint(string(address), 16, 64)
		if err != nil || begin == 0 {
			continue
		}
		for k, a := range addresses {
			if n := &nearest[k]; begin <= a && begin > n.begin {
				n.begin, n.name = begin, append(n.name[:0], name...)
			}
		}
	}
	for k, n := range nearest {
		if n.begin > 0 {
			name, _, _ := bytes.Cut(n.name, []byte("\t")) // behind it stands the module
			names[addresses[k]] = string(name)
		}
	}
	return lines.Err()
}

// dropReasons are the names of enum skb_drop_reason, without what all begin with.
// Those of a subsystem (openvswitch, mac80211) are not among them.
func dropReasons() (map[uint32]string, error) {
	kernel, err := kernelTypes.Kernel()
	if err != nil {
		return nil, err
	}
	names := map[uint32]string{}
	var reasons *btf.Enum
	if kernel.TypeByName("skb_drop_reason", &reasons) != nil {
		return names, nil
	}
	for _, v := range reasons.Values {
		name, _ := strings.CutPrefix(v.Name, "SKB_DROP_REASON_")
		names[uint32(v.Value)] = name
	}
	return names, nil
}
