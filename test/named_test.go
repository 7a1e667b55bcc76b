// SPDX-License-Identifier: Apache-2.0

package test

import (
	"strings"
	"testing"

	"waymark/internal/lab"
)

// inNamed is what a user does in a network namespace that `ip netns` has a name
// for, over two starts of a machine whose /run and /var/lib are the test's own:
// of the first, what is on the disk comes to the second. Then the disk is full.
const inNamed = `mount -t tmpfs none /run
mount -t tmpfs -o size=64k none /var/lib
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
$waymark status
head -c 1M /dev/zero 2>/dev/null >/var/lib/waymark/ballast || true
if $waymark move other.slice other; then exit 7; fi
test "$($waymark status | grep -c ^move)" = 1
rm /var/lib/waymark/ballast
$waymark move other.slice other
test "$($waymark status | grep -c ^move)" = 2
umount /run/netns/blue
$waymark down
rm -r /var/lib/waymark`

// TestNamedNamespace has moves in a network namespace with a name outlive the
// machine. One that cannot be kept is not made.
func TestNamedNamespace(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice", "other.slice")
	s.mark(t)
	args := append([]string{"-m", "--propagation", "private", "sh", "-ec", inNamed, "sh", binary(t)}, s.write(t, rebooted)...)
	c := s.Host.Command("unshare", args...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"\nmoves@blue.json\n", "\nmove app.slice to other, by ",
		"waymark: apply: keep the moves for the next start of the machine: write /var/lib/waymark/moves@blue.json: ",
		": no space left on device; everything is as it was before\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	s.gone(t)
}
