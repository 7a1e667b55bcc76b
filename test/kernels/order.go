// SPDX-License-Identifier: Apache-2.0

package main

// An order is what the host wants of a guest. It lies at orderPath in the
// guest's initramfs.
type order struct {
	Command []string
	Folder  string // the command's working directory
	Env     []string
	Modules []string // kernel modules in the order to load them
}

// An answer is what a guest says when the command has ended. It comes by
// the guest's last serial line.
type answer struct {
	Release string // of the running kernel; empty: no answer came
	Status  int    // the command's exit status, 128 and the number for a signal
	Notes   []string
}

const orderPath = "/order.json"

// The guest's serial lines, in the order in which QEMU is told of them.
const (
	consoleLine = "ttyS0" // what the kernel logs
	outputLine  = "ttyS1" // what the command prints
	answerLine  = "ttyS2"
)

// Exit statuses of a run that are not the command's own.
const (
	statusTimeout  = 124
	statusNoAnswer = 125
	statusNotFound = 127
)
