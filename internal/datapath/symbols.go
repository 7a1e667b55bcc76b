// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"os"
	"sync"
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

var reasonNames = sync.OnceValues(dropReasons)

// functions are the names of those addresses that were asked for.
var functions = struct {
	sync.Mutex
	names map[uint64]string
}{names: map[uint64]string{}}

// KernelFunction is the name of the kernel's function that an address of its
// code is in; "" where the kernel does not tell.
func KernelFunction(address uint64) string {
	functions.Lock()
	defer functions.Unlock()
	if name, known := functions.names[address]; known {
		return name
	}
	functions.names[address] = ""
	if symbols, err := os.Open("/proc/kallsyms"); err == nil {
		// What could not be read has no name.
		_ = nameFunctions(symbols, []uint64{address}, functions.names)
		symbols.Close()
	}
	return functions.names[address]
}
