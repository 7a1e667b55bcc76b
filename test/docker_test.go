// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waymark/internal/lab"
)

const dockerScript = `exec dockerd --data-root "$1/data" --exec-root "$1/exec" -p "$1/pid" -H "unix://$1/socket" --storage-driver vfs \
	--exec-opt native.cgroupdriver=cgroupfs --experimental --ip6tables --ipv6 --fixed-cidr-v6 fd00:40::/64 >"$1/log" 2>&1`

// A dockerEngine is a running one.
type dockerEngine struct{ *containerHost }

func (s *site) docker(t *testing.T) *dockerEngine {
	t.Helper()
	e := &dockerEngine{s.containerHost(t, dockerScript, "dockerd", "docker")}
	t.Cleanup(func() { e.stop(t) })
	e.ready(t, func() error { _, err := e.try("version"); return err })
	e.run(t, "import", e.box(t), "box")
	return e
}

// stop ends the engine and all that it started.
func (e *dockerEngine) stop(t *testing.T) {
	t.Helper()
	if out, err := e.try("ps", "-aq"); err == nil {
		e.run(t, append([]string{"rm", "-f"}, strings.Fields(out)...)...)
	}
	e.end()
}

// try runs one command of the Docker client.
func (e *dockerEngine) try(args ...string) (string, error) {
	c := exec.Command("docker", append([]string{"-H", "unix://" + e.socket()}, args...)...)
	c.Env = append(os.Environ(), "DOCKER_CONFIG="+e.dir)
	return output(c)
}

func (e *dockerEngine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.try(args...)
	if err != nil {
		t.Fatalf("%v; the engine says %s", err, e.log())
	}
	return out
}

// in is a container of the engine's.
func (e *dockerEngine) in(id string) container {
	return func(args ...string) (string, error) { return e.try(append([]string{"exec", id}, args...)...) }
}

func (e *dockerEngine) upAndDown(t *testing.T) {
	t.Helper()
	e.run(t, "rm", "-f", e.start(t))
	e.down(t, "docker0")
}

// start starts a container that waits.
func (e *dockerEngine) start(t *testing.T, args ...string) (id string) {
	t.Helper()
	args = append(append([]string{"run", "-d", "--init=false"}, args...), "box", "/bin/sleep", "1000")
	return e.run(t, args...)
}

// TestDocker has real containers, by the cgroup they are told to be in and by
// the path of their own. A restart gives a container another interface and
// another cgroup, which the next apply finds.
func TestDocker(t *testing.T) {
	s := newTraffic(t, lab.Options{Forward: true})
	e := s.docker(t)
	e.upAndDown(t)
	s.mark(t)
	parent := e.start(t, "--cgroup-parent=/app.slice/deep")
	plain := e.start(t)
	unclassed := e.start(t, "--cgroup-parent=/other.slice")
	s.apply(t, threeUplinks+`
classes:
  - {name: tuple, route: [c], match: [{dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: parent, route: [b], otherwise: unreachable, match: [{cgroup: engine/app.slice}]}
  - {name: path, route: [c], match: [{cgroup: engine/docker/`+plain+`}]}
`)
	check := func(name, id string, one, three int) {
		t.Helper()
		s.goesBy(t, name, e.in(id), one, three)
	}
	check("parent", parent, byB, byC)
	check("path", plain, byC, byC)
	check("unclassed", unclassed, byA, byC)
	e.run(t, "restart", "-t", "0", parent, plain)
	s.ok(t, "apply", "-f", filepath.Join(s.dir, "policy.yaml"), "--cgroup-root", s.CgroupRoot())
	check("parent, restarted", parent, byB, byC)
	check("path, restarted", plain, byC, byC)
}
