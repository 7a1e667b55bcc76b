// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"testing"

	"waymark/internal/lab"
)

// TestNamespaceThatIsGone has the pins of a host that ended without `down` in
// the place of another one's, as when its inode's number is given out again.
func TestNamespaceThatIsGone(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.mark(t)
	dead := must[*lab.Lab](t)(lab.New(lab.Options{Uplinks: 3, RPFilter: 1}))
	args := append([]string{"apply", "--cgroup-root", dead.CgroupRoot()}, s.write(t, groupBy("b"))[:2]...)
	out, err := dead.Host.Command(binary(t), args...).CombinedOutput()
	if err == nil {
		err = os.Rename(pinsOf(dead.Host.Inode()), s.pins())
	}
	if end := dead.Close(); err != nil || end != nil {
		t.Fatalf("%v, %v: %s", err, end, out)
	}
	s.seen.add(t, s.pins())
	if o := s.waymark(t, "status"); o.code != 1 || o.stderr != "waymark: nothing is applied in this network namespace: run `waymark apply`\n" {
		t.Errorf("status of what is another's: exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	if !s.apply(t, groupBy("c")).Changed {
		t.Error("apply found the policy of a namespace that is gone")
	}
	s.leaves(t, in("app.slice", v4.job(lab.TCP, 1)), byC)
}
