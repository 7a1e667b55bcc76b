// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/internal/plan"
	"waymark/loader"
)

// The uplinks of a laboratory as a policy names them: main's default route
// is by a, and only by a, so the next hops of the others have to be told.
const (
	uplinkA = "  - {name: a, interface: up-a}\n"
	uplinkB = "  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"]}\n"
	uplinkC = "  - {name: c, interface: up-c, gateway: [10.0.3.1, \"2001:db8:3::1\"]}\n"

	twoUplinks   = "uplinks:\n" + uplinkA + uplinkB
	threeUplinks = twoUplinks + uplinkC
)

// The uplinks by their place in a laboratory.
const (
	byA = iota
	byB
	byC
)

// servicePort is where the far server answers.
const servicePort = 7

// A site is a laboratory with the command under test on its host, a server
// at its far end, and an eye at the host's side of every router. When the
// test ends, so does what was applied; whatever is left then is an error.
type site struct {
	*lab.Lab
	dir      string
	by       string         // the binary under test, in place of binary's; "": that one
	captures []*lab.Capture // by router: what it gets from the host
	before   string         // the laboratory's State before the first apply
	seen     objects        // what any apply has pinned
	metering *loader.Loader // for the meter, on the host
	meter    *loader.Meter  // nil: it was not read

	stateDir   string         // of what outlives the namespace; "": nothing does
	foreigners []func() error // end what is not ours, when ours is down
}

func newSite(t *testing.T, options lab.Options) *site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: a laboratory makes network namespaces and cgroups")
	}
	before := held(t)
	s := &site{Lab: must[*lab.Lab](t)(lab.New(options)), dir: t.TempDir()}
	t.Cleanup(func() { s.end(t, before) })
	must[*lab.Server](t)(s.Far.Serve(servicePort))
	for _, r := range s.Routers {
		s.captures = append(s.captures, must[*lab.Capture](t)(r.Capture("down")))
	}
	return s
}

// cgroups makes cgroups that a policy names.
func (s *site) cgroups(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		must[string](t)(s.Cgroup(name))
	}
}

// must is for errors after which the test has nothing to test.
func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// outcome is how one command line ended.
type outcome struct {
	stdout, stderr string
	code           int
}

// command is the path of the binary under test.
func (s *site) command(t *testing.T) string {
	t.Helper()
	if s.by != "" {
		return s.by
	}
	return binary(t)
}

// waymark runs the command on the host.
func (s *site) waymark(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := s.Host.Command(s.command(t), args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	c.Env = s.environ(c.Cmd)
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), c.ProcessState.ExitCode()}
}

// environ is a command's environment, with the directory that outlives its
// namespace.
func (s *site) environ(c *exec.Cmd) []string {
	if s.stateDir == "" {
		return c.Environ()
	}
	return append(c.Environ(), "STATE_DIRECTORY="+s.stateDir)
}

// ok runs a command that has to succeed, and returns what it printed.
func (s *site) ok(t *testing.T, args ...string) string {
	t.Helper()
	o := s.waymark(t, args...)
	if o.code != 0 {
		t.Fatalf("waymark %s: exit %d: %s", strings.Join(args, " "), o.code, o.stderr)
	}
	return o.stdout
}

// write puts a policy in a file and returns the arguments that name it, and
// the laboratory's part of the cgroup tree.
func (s *site) write(t *testing.T, policy string) []string {
	t.Helper()
	return s.writeAs(t, "policy.yaml", policy)
}

func (s *site) writeAs(t *testing.T, name, policy string) []string {
	t.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-f", file, "--cgroup-root", s.CgroupRoot()}
}

// applied is what `apply -o json` says.
type applied struct {
	Changed bool            `json:"changed"`
	Changes plan.Changes    `json:"changes"`
	Sockets datapath.Walked `json:"sockets"`
	Waiting []string        `json:"waiting"`
}

// apply applies a policy, which has to succeed.
func (s *site) apply(t *testing.T, policy string) applied {
	t.Helper()
	s.mark(t)
	a := item[applied](t, s.ok(t, append([]string{"apply", "-o", "json"}, s.write(t, policy)...)...))
	s.seen.add(t, s.pins())
	return a
}

// refused applies a policy, which has to fail, and returns how.
func (s *site) refused(t *testing.T, policy string) outcome {
	t.Helper()
	s.mark(t)
	o := s.waymark(t, append([]string{"apply"}, s.write(t, policy)...)...)
	if o.code == 0 {
		t.Fatalf("apply succeeded:\n%s", o.stdout)
	}
	return o
}

// mark remembers how things were before the first apply. In the guests of
// test/kernels, whose tests are short, that would take longer than the test.
func (s *site) mark(t *testing.T) {
	t.Helper()
	if s.before == "" && !testing.Short() {
		s.before = s.state(t)
	}
}

func (s *site) state(t *testing.T) string {
	t.Helper()
	return must[string](t)(s.State())
}

func (s *site) status(t *testing.T) loader.Status {
	t.Helper()
	return item[loader.Status](t, s.ok(t, "status", "-o", "json"))
}

// item is the value in what a verb prints with `-o json`.
func item[T any](t *testing.T, text string) T {
	t.Helper()
	var out struct{ Item T }
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out.Item
}
