// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waymark/internal/lab"
)

const byUser = twoUplinks + `
classes:
  - {name: desk, route: [b], match: [{uid: trader}]}
  - {name: other, route: [b], match: [{cgroup: app.slice}]}
`

// withUsers has the command under test see the users of a file, which it returns.
func (s *site) withUsers(t *testing.T, lines string) (file string) {
	t.Helper()
	// The BPF file system, where nobody has mounted it, is mounted by who needs it first: not in a
	// mount namespace of its own, where no one else would see the pins.
	s.apply(t, strings.Replace(byUser, "uid: trader", "uid: 2000", 1))
	file, s.by = filepath.Join(t.TempDir(), "passwd"), filepath.Join(t.TempDir(), "waymark")
	script := fmt.Sprintf("#!/bin/sh\nexec unshare -m sh -c 'mount --bind %s /etc/passwd && exec %s \"$@\"' sh \"$@\"\n", file, binary(t))
	if err := errors.Join(os.WriteFile(file, []byte(lines), 0o644), os.WriteFile(s.by, []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestUserVanishes takes a user of the policy away, as a directory does that
// cannot be asked: all goes on with the uid that it had, but another policy is not
// applied, until the user is there again.
func TestUserVanishes(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	const root, trader = "root:x:0:0::/:/bin/sh\n", "trader:x:2000:2000::/:/bin/sh\n"
	file := s.withUsers(t, root+trader)
	users := func(lines string) { s.check(t, os.WriteFile(file, []byte(lines), 0o644)) }
	a := s.agent(t, byUser)
	desk := v4.job(lab.UDP, 1)
	desk.UID, desk.GID = 2000, 2000
	s.leaves(t, desk, byB)

	users(root)
	if out := s.ok(t, "status"); !strings.Contains(out, `waiting: user "trader" does not exist on this host now: it is taken to have the uid that it had, 2000`) {
		t.Errorf("status does not say that the user is gone:\n%s", out)
	}
	s.shell(t, "ip rule flush protocol 119")
	s.planned(t, func() error { return nil })
	s.leaves(t, desk, byB)
	s.ok(t, "move", "uid:trader", "unclassed")
	s.leaves(t, desk, byA)
	s.ok(t, "move", "--undo", "uid:trader")
	s.ok(t, "exec", "--class", "desk", "--", "true")
	s.ok(t, "apply", "-f", filepath.Join(s.dir, "policy.yaml"), "--cgroup-root", s.CgroupRoot())
	s.leaves(t, desk, byB)

	s.write(t, strings.Replace(byUser, "route: [b], match: [{cgroup", "route: [a], match: [{cgroup", 1))
	soon(t, "it is said what is missing, and that it is tried again", func() error {
		if said := strings.Join(s.record(t).Problems, "\n"); !strings.Contains(said, `"trader" does not exist`) || !strings.Contains(said, "applied again at") {
			return errors.New(said)
		}
		return nil
	})
	s.goes(t, "app.slice", byB)
	users(root + trader)
	s.goes(t, "app.slice", byA)
	s.leaves(t, desk, byB)
	soon(t, "nothing is wrong any more", func() error {
		if said := s.record(t).Problems; len(said) > 0 {
			return errors.New(said[0])
		}
		return nil
	})

	users(root)
	s.ok(t, "rollback")
	s.goes(t, "app.slice", byB)
	a.stop(t)
}
