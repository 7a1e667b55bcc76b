// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"errors"
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

// machineScript makes of the laboratory's host a machine for a container
// runtime: it sees no other cgroups than its own, and what it writes elsewhere
// on the way is lost with its mounts. $1 is a directory of its own.
const machineScript = `set -e
mount --make-rprivate /
for dir in /etc /var /opt; do
	mkdir -p "$1/over$dir/upper" "$1/over$dir/work"
	mount -t overlay none -o "lowerdir=$dir,upperdir=$1/over$dir/upper,workdir=$1/over$dir/work" $dir
done
mount -t tmpfs none /run
mount -t cgroup2 none /sys/fs/cgroup
`

// A containerHost is a running container runtime with its own view of the host.
type containerHost struct {
	*site
	dir string
	cmd *lab.Cmd
}

// containerHost starts a runtime in the laboratory's cgroup "engine", by a script
// that goes on where machineScript ends; it ends before the laboratory does.
func (s *site) containerHost(t *testing.T, script string, programs ...string) *containerHost {
	t.Helper()
	for _, program := range append(programs, "busybox") {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("left out: %v (test/packages.sh installs it)", err)
		}
	}
	// A socket's path is short; that of a test's directory may not be.
	dir := must[string](t)(os.MkdirTemp("", "waymark-"+programs[0]+"-"))
	// What a runtime started to clean up behind a container may still write there.
	t.Cleanup(func() { soon(t, "the runtime's files are gone", func() error { return os.RemoveAll(dir) }) })
	m := &containerHost{s, dir, s.Host.Command("unshare", "-m", "-C", "sh", "-c", machineScript+script, "sh", dir).In("engine")}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return m
}

// socket is where the runtime answers.
func (m *containerHost) socket() string { return filepath.Join(m.dir, "socket") }

// ready waits until the runtime answers.
func (m *containerHost) ready(t *testing.T, answers func() error) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if err := answers(); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the runtime does not start: %v: %s", err, m.log())
		}
	}
}

// end ends the runtime, whose containers are gone.
func (m *containerHost) end() {
	_ = m.cmd.Process.Signal(unix.SIGTERM)
	_ = m.cmd.Wait()
}

// down waits until a bridge that has been up is down again: it is never again
// as it was before.
func (m *containerHost) down(t *testing.T, bridge string) {
	t.Helper()
	soon(t, "the bridge is down again", func() error {
		out, err := m.Host.Command("ip", "link", "show", bridge).Output()
		if err == nil && !strings.Contains(string(out), "NO-CARRIER") {
			err = fmt.Errorf("it is %s", out)
		}
		return err
	})
}

func (m *containerHost) log() string {
	text, _ := os.ReadFile(filepath.Join(m.dir, "log"))
	return string(text[max(0, len(text)-3000):])
}

// output is what a command printed, and its error with what it complained of.
func output(c *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), err
}

// box is an archive of a static busybox: the root of every container.
func (m *containerHost) box(t *testing.T) string {
	t.Helper()
	root, archive := filepath.Join(m.dir, "root"), filepath.Join(m.dir, "box.tar")
	box := must[[]byte](t)(os.ReadFile(must[string](t)(exec.LookPath("busybox"))))
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sleep", "nc", "sh"} {
		if err := os.WriteFile(filepath.Join(root, "bin", name), box, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	must[string](t)(output(exec.Command("tar", "-C", root, "-cf", archive, ".")))
	return archive
}

// A container is one that runs, by how a command is run in it.
type container func(args ...string) (string, error)

// greeted checks by which router a container's connection leaves, and whom
// the far server sees.
func (s *site) greeted(t *testing.T, c container, f ip, service, router int) {
	t.Helper()
	to := f.service(service).Addr()
	s.drain(t)
	var out string
	soon(t, "a container's command says what it got", func() (err error) { // some runtimes lose it now and then
		if out, err = c("/bin/nc", "-w", "10", to.String(), fmt.Sprint(servicePort)); err == nil && out == "" {
			err = errors.New("nothing")
		}
		return err
	})
	seen, err := netip.ParseAddrPort(strings.TrimSpace(out))
	if source := s.address(router, to); err != nil || seen.Addr() != source {
		t.Errorf("the far server saw %q, want %s", out, source)
	}
	s.drainOf(t, router, func(p lab.Packet) bool { return p.Dst.Addr() == to }, s.address(router, to))
}

// goesBy checks by which router a container's connections leave, and by which
// those to the third service, which have a class by their destination.
func (s *site) goesBy(t *testing.T, name string, c container, router, third int) {
	t.Helper()
	for _, f := range bothFamilies {
		t.Run(fmt.Sprintf("%s/%s", name, f), func(t *testing.T) {
			s.greeted(t, c, f, 1, router)
			s.greeted(t, c, f, 3, third)
		})
	}
}

// policy is one of containers by name and by labels.
func (m *containerHost) policy() string {
	return "containers: {sockets: [unix://" + m.socket() + "]}\n" + threeUplinks + `
classes:
  - {name: tuple, route: [c], match: [{dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: named, route: [b], otherwise: unreachable, match: [{container: backup}]}
  - {name: labelled, route: [c], match: [{container: {label: {tier: 'bulk*', com.example/site: '*'}}}]}
`
}
