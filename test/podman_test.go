// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// podmanScript serves Podman's API, which is Docker's and more.
const podmanScript = `
mkdir -p /etc/cni/net.d /etc/containers
rm -f /etc/cni/net.d/*
cat >/etc/containers/containers.conf <<END
[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
cat >/etc/containers/storage.conf <<END
[storage]
driver = "vfs"
graphroot = "$1/data"
runroot = "$1/state"
END
exec podman system service --time 0 "unix://$1/socket" >"$1/log" 2>&1`

// A podmanEngine is a running Podman.
type podmanEngine struct{ *containerHost }

func (s *site) podman(t *testing.T) *podmanEngine {
	t.Helper()
	e := &podmanEngine{s.containerHost(t, podmanScript, "podman", "conmon", "runc", "nsenter")}
	t.Cleanup(func() { e.stop(t) })
	e.ready(t, func() error { _, err := e.try("version"); return err })
	e.run(t, "import", e.box(t), "localhost/box")
	return e
}

// stop ends all that Podman started.
func (e *podmanEngine) stop(t *testing.T) {
	t.Helper()
	if out, err := e.try("ps", "-aq"); err == nil && out != "" {
		e.run(t, append([]string{"rm", "-f", "-t", "0"}, strings.Fields(out)...)...)
	}
	e.end()
}

// try runs one command of Podman's client, over its API.
func (e *podmanEngine) try(args ...string) (string, error) {
	into := []string{fmt.Sprintf("--mount=/proc/%d/ns/mnt", e.cmd.Process.Pid), fmt.Sprintf("--net=/proc/%d/ns/net", e.cmd.Process.Pid), "podman", "--remote", "--url", "unix://" + e.socket()}
	return output(exec.Command("nsenter", append(into, args...)...))
}

func (e *podmanEngine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.try(args...)
	if err != nil {
		t.Fatalf("%v; podman says %s", err, e.log())
	}
	return out
}

// start starts a container that waits, on the host's network.
func (e *podmanEngine) start(t *testing.T, args ...string) (id string) {
	t.Helper()
	args = append(append([]string{"run", "-d", "--network=host"}, args...), "localhost/box", "/bin/sleep", "1000")
	return e.run(t, args...)
}

func (e *podmanEngine) in(id string) container {
	return func(args ...string) (string, error) { return e.try(append([]string{"exec", id}, args...)...) }
}

// TestPodman has real containers of Podman's, by name and by labels.
func TestPodman(t *testing.T) {
	s := newTraffic(t, lab.Options{Forward: true})
	e := s.podman(t)
	s.apply(t, e.policy())
	named := e.start(t, "--name=backup")
	labelled := e.start(t, "--name=other", "--label=tier=bulk-1", "--label=com.example/site=x")
	neither := e.start(t, "--name=backup-2", "--label=tier=bulk-1")
	e.reapply(t)
	s.goesBy(t, "by name", e.in(named), byB, byC)
	s.goesBy(t, "by labels", e.in(labelled), byC, byC)
	s.goesBy(t, "by neither", e.in(neither), byA, byC)
	s.ok(t, "move", "container:backup", "labelled")
	s.goesBy(t, "moved", e.in(named), byC, byC)
	s.ok(t, "move", "--undo", "container:backup")
	e.run(t, "restart", "-t", "0", named)
	s.goesBy(t, "restarted", e.in(named), byB, byC)
	e.run(t, "rm", "-f", "-t", "0", named)
	named = e.run(t, "create", "--name=backup", "--network=host", "localhost/box", "/bin/sleep", "1000")
	e.reapply(t)
	e.run(t, "start", named)
	s.goesBy(t, "made again, and started after the apply", e.in(named), byB, byC)
}
