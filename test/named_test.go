// SPDX-License-Identifier: Apache-2.0

package test

import (
	"strings"
	"testing"

	"waymark/internal/lab"
)

// inNamed is what a user does in a network namespace that `ip netns` has a name
// for, over two starts of a machine whose /run and /var/lib are the test's own:
// of the first, what is on the disk comes to the second.
const inNamed = `mount -t tmpfs none /run
mount -t tmpfs none /var/lib
mkdir /run/netns
touch /run/netns/blue
mount --bind /proc/thread-self/ns/net /run/netns/blue
waymark=$1
shift
$waymark apply "$@"
$waymark move app.slice other
ls /var/lib/waymark
cp -r /var/lib/waymark /run/kept
$waymark down
test -z "$(ls -A /var/lib)"
cp -r /run/kept /var/lib/waymark
$waymark apply "$@"
umount /run/netns/blue
$waymark status
$waymark down`

// TestNamedNamespace has moves in a network namespace with a name outlive the
// machine, beside those of the machine's own network.
func TestNamedNamespace(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.mark(t)
	args := append([]string{"-m", "--propagation", "private", "sh", "-ec", inNamed, "sh", binary(t)}, s.write(t, rebooted)...)
	c := s.Host.Command("unshare", args...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"\nmoves@blue.json\n", "\nmove app.slice to other, by "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	s.gone(t)
}
