// SPDX-License-Identifier: Apache-2.0

package test

import (
	"testing"

	"waymark/internal/lab"
)

// TestNoBpffs applies a policy, and takes it down, where no BPF file system is
// mounted: the one that is mounted for it goes with it.
func TestNoBpffs(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.mark(t)
	args := s.write(t, traffic)
	out, err := s.Host.Command("unshare", append([]string{"-m", "sh", "-ec", `
mounted() { awk '$3 == "bpf" { print $2 }' /proc/mounts; }
while point=$(mounted | tail -n 1); test -n "$point"; do umount "$point"; done
binary=$1; shift
"$binary" apply "$@" >/dev/null
mounted
"$binary" down >/dev/null
mounted`, "sh", s.command(t)}, args...)...).CombinedOutput()
	if err != nil || out != "/sys/fs/bpf\n" {
		t.Errorf("mounted while it is applied, and then: %q, %v", out, err)
	}
}
