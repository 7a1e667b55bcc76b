// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// engineScript starts a Docker Engine that has the laboratory's host for its
// machine: it sees no other cgroups than its own, and what it writes
// elsewhere on the way is lost with its mounts.
const engineScript = `set -e
mount --make-rprivate /
for dir in /etc /var /opt; do
	mkdir -p "$1/over$dir/upper" "$1/over$dir/work"
	mount -t overlay none -o "lowerdir=$dir,upperdir=$1/over$dir/upper,workdir=$1/over$dir/work" $dir
done
mount -t tmpfs none /run
mount -t cgroup2 none /sys/fs/cgroup
exec dockerd --data-root "$1/data" --exec-root "$1/exec" -p "$1/pid" -H "unix://$1/socket" --storage-driver vfs \
	--exec-opt native.cgroupdriver=cgroupfs --experimental --ip6tables --ipv6 --fixed-cidr-v6 fd00:40::/64 >"$1/log" 2>&1`

// A dockerEngine is a running one.
type dockerEngine struct {
	*site
	dir string
	cmd *lab.Cmd
}

// docker starts an engine in the laboratory's cgroup "engine"; it ends before
// the laboratory does.
func (s *site) docker(t *testing.T) *dockerEngine {
	t.Helper()
	for _, program := range []string{"dockerd", "docker", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("left out: %v (Debian's docker.io and busybox-static)", err)
		}
	}
	// A socket's path is short; that of a test's directory may not be.
	dir := must[string](t)(os.MkdirTemp("", "waymark-docker-"))
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	e := &dockerEngine{s, dir, s.Host.Command("unshare", "-m", "-C", "sh", "-c", engineScript, "sh", dir).In("engine")}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.stop(t) })
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := e.try("version"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the engine does not start: %v: %s", err, e.log())
		}
	}
	e.run(t, "import", e.image(t), "box")
	return e
}

// stop ends the engine and all that it started.
func (e *dockerEngine) stop(t *testing.T) {
	t.Helper()
	if out, err := e.try("ps", "-aq"); err == nil {
		e.run(t, append([]string{"rm", "-f"}, strings.Fields(out)...)...)
	}
	_ = e.cmd.Process.Signal(unix.SIGTERM)
	_ = e.cmd.Wait()
}

func (e *dockerEngine) log() string {
	text, _ := os.ReadFile(filepath.Join(e.dir, "log"))
	return string(text[max(0, len(text)-3000):])
}

// try runs one command of the Docker client.
func (e *dockerEngine) try(args ...string) (string, error) {
	c := exec.Command("docker", append([]string{"-H", "unix://" + e.dir + "/socket"}, args...)...)
	c.Env = append(os.Environ(), "DOCKER_CONFIG="+e.dir)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), err
}

func (e *dockerEngine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.try(args...)
	if err != nil {
		t.Fatalf("%v; the engine says %s", err, e.log())
	}
	return out
}

// image is an archive of a static busybox.
func (e *dockerEngine) image(t *testing.T) string {
	t.Helper()
	root, archive := filepath.Join(e.dir, "root"), filepath.Join(e.dir, "box.tar")
	box := must[[]byte](t)(os.ReadFile(must[string](t)(exec.LookPath("busybox"))))
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sleep", "nc"} {
		if err := os.WriteFile(filepath.Join(root, "bin", name), box, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("tar", "-C", root, "-cf", archive, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return archive
}

// upAndDown has had the bridge up, and waits until it is down again: it is
// never again as it was before.
func (e *dockerEngine) upAndDown(t *testing.T) {
	t.Helper()
	e.run(t, "rm", "-f", e.start(t))
	soon(t, "the bridge is down again", func() error {
		out, err := e.Host.Command("ip", "link", "show", "docker0").Output()
		if err == nil && !strings.Contains(string(out), "NO-CARRIER") {
			err = fmt.Errorf("it is %s", out)
		}
		return err
	})
}

// start starts a container that waits.
func (e *dockerEngine) start(t *testing.T, args ...string) (id string) {
	t.Helper()
	args = append(append([]string{"run", "-d", "--init=false"}, args...), "box", "/bin/sleep", "1000")
	return e.run(t, args...)
}

// greeted checks by which router a container's connection leaves, and whom
// the far server sees.
func (e *dockerEngine) greeted(t *testing.T, id string, f ip, service, router int) {
	t.Helper()
	to := f.service(service).Addr()
	e.drain(t)
	out := e.run(t, "exec", id, "/bin/nc", "-w", "10", to.String(), fmt.Sprint(servicePort))
	seen, err := netip.ParseAddrPort(strings.TrimSpace(out))
	if source := e.address(router, to); err != nil || seen.Addr() != source {
		t.Errorf("the far server saw %q, want %s", out, source)
	}
	e.drainOf(t, router, func(p lab.Packet) bool { return p.Dst.Addr() == to }, e.address(router, to))
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
		for _, f := range bothFamilies {
			t.Run(fmt.Sprintf("%s/%s", name, f), func(t *testing.T) {
				e.greeted(t, id, f, 1, one)
				e.greeted(t, id, f, 3, three)
			})
		}
	}
	check("parent", parent, byB, byC)
	check("path", plain, byC, byC)
	check("unclassed", unclassed, byA, byC)
	e.run(t, "restart", "-t", "0", parent, plain)
	s.ok(t, "apply", "-f", filepath.Join(s.dir, "policy.yaml"), "--cgroup-root", s.CgroupRoot())
	check("parent, restarted", parent, byB, byC)
	check("path, restarted", plain, byC, byC)
}
