// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"testing"

	"waymark/internal/lab"
)

func TestMain(m *testing.M) {
	if lab.ClientMain() {
		return
	}
	os.Exit(m.Run())
}
