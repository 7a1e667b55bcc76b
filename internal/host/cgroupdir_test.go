// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChildrenAreTheKernels has more cgroups in one than are listed at a time,
// and finds every one of them, with its id, and no file.
func TestChildrenAreTheKernels(t *testing.T) {
	names := make([]string, 1500)
	for k := range names {
		names[k] = fmt.Sprintf("one of %d", k)
	}
	root, own := subtree(t, names...)
	dir, err := os.Open(filepath.Join(root, own))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	children, err := childrenOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]uint64{}, map[string]uint64{}
	for _, name := range names {
		want[name] = handleID(t, filepath.Join(root, own, name))
	}
	for _, c := range children {
		got[c.name] = c.id
	}
	if !maps.Equal(want, got) || len(children) != len(names) {
		t.Errorf("%d children (-want +got):\n%s", len(children), cmp.Diff(want, got))
	}
}
