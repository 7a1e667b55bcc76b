// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// binaryVariable is the environment variable that names the waymark binary
// in a guest.
const binaryVariable = "WAYMARK_BINARY"

const policy = `uplinks:
  - {name: a, interface: up-a}
classes:
  - {name: user, route: [a], match: [{uid: 2000}]}
`

// tryApply has a kernel either carry a policy, or refuse it with exit code 5
// and one sentence.
func tryApply(t *testing.T, s *stand) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	c := s.Host.Command(os.Getenv(binaryVariable), "apply", "-f", file, "--cgroup-root", s.CgroupRoot())
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	switch code := c.ProcessState.ExitCode(); {
	case code == 5 && strings.Count(out, "\n") == 1 && strings.Contains(out, "this kernel lacks"):
		t.Skip(out)
	case code != 0:
		t.Fatalf("exit code %d: %s", code, out)
	}
	if out, err := s.Host.Command(os.Getenv(binaryVariable), "down").CombinedOutput(); err != nil {
		t.Errorf("down: %v: %s", err, out)
	}
}
