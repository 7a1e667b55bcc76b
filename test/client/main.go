// SPDX-License-Identifier: Apache-2.0

// Client is a lab's client and nothing else. The tests start thousands, and their
// own binary, which is one too, takes four times as long to begin: everything
// that it links is initialized first.
package main

import (
	"os"

	"waymark/internal/lab"
)

func main() {
	if !lab.ClientMain() {
		os.Exit(1)
	}
}
