// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// containerdScript starts a containerd that serves its own API and CRI, whose
// containers are behind a bridge of CNI's.
const containerdScript = `
mkdir -p "$1/cni" /etc/cni /opt/cni/bin
mount --bind "$1/cni" /etc/cni
mount --bind /usr/lib/cni /opt/cni/bin
mkdir /etc/cni/net.d
cat >/etc/cni/net.d/10-box.conflist <<END
{"cniVersion": "0.4.0", "name": "box", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true,
 "ipam": {"type": "host-local", "dataDir": "$1/ipam", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
  "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet": "fd00:88::/64"}]]}}]}
END
# Without a link-local address of its own the kernel looks for no neighbour there.
ip link add cni0 type bridge
ip address add fe80::1/64 dev cni0 nodad
ip link set cni0 up
iptables -t nat -A POSTROUTING -s 10.88.0.0/16 ! -d 10.88.0.0/16 -j MASQUERADE
ip6tables -t nat -A POSTROUTING -s fd00:88::/64 ! -d fd00:88::/64 -j MASQUERADE
cat >"$1/runc" <<'END'
#!/bin/sh
# The laboratory's cgroups have no cpu controller, and CRI always asks for it.
bundle=
for arg; do
	[ "$bundle" != next ] || bundle=$arg
	[ "$arg" != --bundle ] || bundle=next
done
[ -z "$bundle" ] || sed -i 's/"cpu":{"shares":[0-9]*}/"cpu":{}/' "$bundle/config.json"
exec runc "$@"
END
chmod +x "$1/runc"
cat >"$1/config.toml" <<END
version = 2
root = "$1/data"
state = "$1/state"
[grpc]
  address = "$1/socket"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + imageName + `"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "$1/runc"
END
exec containerd -c "$1/config.toml" >"$1/log" 2>&1`

// A containerdEngine is a running containerd.
type containerdEngine struct{ *containerHost }

func (s *site) containerd(t *testing.T) *containerdEngine {
	t.Helper()
	e := &containerdEngine{s.containerHost(t, containerdScript, "containerd", "ctr", "runc", "nsenter", "/usr/lib/cni/bridge")}
	t.Cleanup(func() { e.stop(t) })
	e.ready(t, func() error { _, err := e.ctr("version"); return err })
	image := e.image(t)
	for _, namespace := range []string{"default", "k8s.io"} {
		e.run(t, "-n", namespace, "images", "import", "--snapshotter", "native", image)
	}
	return e
}

// ctr runs one command of containerd's client, which makes networks itself,
// with the mounts that the daemon has.
func (e *containerdEngine) ctr(args ...string) (string, error) {
	into := []string{fmt.Sprintf("--mount=/proc/%d/ns/mnt", e.cmd.Process.Pid), fmt.Sprintf("--net=/proc/%d/ns/net", e.cmd.Process.Pid), "ctr", "-a", e.socket()}
	return output(exec.Command("nsenter", append(into, args...)...))
}

func (e *containerdEngine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.ctr(args...)
	if err != nil {
		t.Fatalf("%v; containerd says %s", err, e.log())
	}
	return out
}

// stop ends containerd and all that it started.
func (e *containerdEngine) stop(t *testing.T) {
	t.Helper()
	if out, err := e.ctr("containers", "ls", "-q"); err == nil {
		e.remove(t, strings.Fields(out)...)
	}
	e.end()
}

// start starts a container that waits; with "--cni", it has its own network
// behind the bridge.
func (e *containerdEngine) start(t *testing.T, name string, args ...string) string {
	t.Helper()
	e.run(t, append(append([]string{"run", "-d", "--cpu-shares", "0", "--snapshotter", "native"}, args...), imageName, name)...)
	return name
}

// remove ends a container and forgets it, and its network with it.
func (e *containerdEngine) remove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		e.kill(t, name)
		e.run(t, "containers", "rm", name)
		leases := must[[]string](t)(filepath.Glob(filepath.Join(e.dir, "ipam/box/[0-9f]*")))
		for _, lease := range leases { // which ctr leaves
			if of, err := os.ReadFile(lease); err == nil && strings.HasPrefix(string(of), "default-"+name) {
				_ = os.Remove(lease)
			}
		}
	}
}

// kill ends a container's process.
func (e *containerdEngine) kill(t *testing.T, name string) {
	t.Helper()
	if _, err := e.ctr("tasks", "kill", "-s", "KILL", name); err == nil {
		soon(t, name+" has ended", func() error { _, err := e.ctr("tasks", "rm", name); return err })
	}
}

// in is a container of containerd's. ctr leaves a command's input open.
func (e *containerdEngine) in(name string) container {
	n := 0
	return func(args ...string) (string, error) {
		n++
		return e.ctr(append([]string{"tasks", "exec", "--exec-id", fmt.Sprintf("nc-%d", n), name, "/bin/sh", "-c", `exec "$@" </dev/null`, "sh"}, args...)...)
	}
}

// TestContainerd has real containers of containerd's own, behind a bridge and
// with the host's network.
func TestContainerd(t *testing.T) {
	s := newTraffic(t, lab.Options{Forward: true})
	e := s.containerd(t)
	e.remove(t, e.start(t, "first", "--cni"))
	e.down(t, "cni0")
	s.apply(t, e.policy())
	named := e.start(t, "backup", "--cni")
	labelled := e.start(t, "other", "--cni", "--label=tier=bulk-1", "--label=com.example/site=x")
	neither := e.start(t, "backup-2", "--cni", "--label=tier=bulk-1")
	hosts := e.start(t, "hosts", "--net-host", "--label=tier=bulk", "--label=com.example/site=y")
	e.reapply(t)
	s.goesBy(t, "by name", e.in(named), byB, byC)
	s.goesBy(t, "by labels", e.in(labelled), byC, byC)
	s.goesBy(t, "by labels, on the host's network", e.in(hosts), byC, byC)
	s.goesBy(t, "by neither", e.in(neither), byA, byC)
	if out := s.ok(t, "explain", "--container", "default/backup"); !strings.Contains(out, "{container: backup}") {
		t.Errorf("explain --container says\n%s", out)
	}

	s.ok(t, "move", "container:backup", "labelled")
	s.ok(t, "move", "container:{label: {tier: bulk-1}}", "named")
	s.goesBy(t, "moved by name", e.in(named), byC, byC)
	s.goesBy(t, "moved by label", e.in(labelled), byB, byB)
	e.remove(t, named)
	e.start(t, named, "--cni")
	e.reapply(t)
	s.goesBy(t, "moved by name, and made again", e.in(named), byC, byC)
	s.ok(t, "move", "--undo", "container:backup")
	s.ok(t, "move", "--undo", "container:{label: {tier: bulk-1}}")
	s.goesBy(t, "moved back by name", e.in(named), byB, byC)
	s.goesBy(t, "moved back by label", e.in(labelled), byC, byC)

	// Under the agent each is in its class when it is created, before it starts.
	s.agent(t, e.policy())
	e.remove(t, named, hosts)
	e.run(t, "containers", "create", "--net-host", "--snapshotter", "native", imageName, named)
	s.caughtUp(t)
	e.run(t, "tasks", "start", "-d", named)
	s.goesBy(t, "made under the agent", e.in(named), byB, byC)
	e.kill(t, named)
	e.run(t, "tasks", "start", "-d", named)
	s.goesBy(t, "restarted under the agent", e.in(named), byB, byC)
}
