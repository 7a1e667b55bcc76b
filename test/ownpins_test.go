// SPDX-License-Identifier: Apache-2.0

package test

import (
	"testing"

	"waymark/internal/lab"
)

// TestNoBpffs applies a policy, and takes it down, where no BPF file system is
// mounted: the one that is mounted for it goes with it. While it is read-only,
// nobody is told to take down what is in it.
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
mount -o remount,ro /sys/fs/bpf # this one, and nobody else's
"$binary" status 2>&1 | grep -o 'read-only file system: traffic goes on'
mount -o remount,rw /sys/fs/bpf
"$binary" down >/dev/null
mounted`, "sh", s.command(t)}, args...)...).CombinedOutput()
	if err != nil || out != "/sys/fs/bpf\nread-only file system: traffic goes on\n" {
		t.Errorf("mounted while it is applied, what is said when it is read-only, and mounted then: %q, %v", out, err)
	}
}
