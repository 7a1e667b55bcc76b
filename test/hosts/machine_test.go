// SPDX-License-Identifier: Apache-2.0

package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// bootScript starts systemd with the laboratory's host for its network. What
// it mounts and writes is lost with it: the root file system stays as it is.
const bootScript = `set -e
mount --make-rprivate /
mount -t tmpfs none /run
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
root=$1 sbin=$2 console=$3 wants=$4
shift 4
exec systemd-nspawn -D "$root" --volatile=overlay --bind-ro="$sbin:/usr/local/sbin" "$@" --machine=waymark-hosts --register=no --keep-unit \
	--capability=all --system-call-filter="bpf perf_event_open" --private-users=no --console=pipe -b systemd.unified_cgroup_hierarchy=1 $wants >"$console" 2>&1 </dev/null`

// servicePort is where the far server answers.
const servicePort = 7

// cgroup is the machine's in the laboratory; nspawn makes two below it.
const cgroup = "machine"

// A machine is a laboratory whose host runs systemd.
type machine struct {
	*lab.Lab
	pid      string         // of its systemd, as this process sees it
	captures []*lab.Capture // by router: what it gets from the host
	console  string         // the file of what it says

	guarded map[netip.Addr]int // packets of closed.service by its own uplink, by their source
}

// boot returns when all units of the boot have started.
func boot(t *testing.T, options lab.Options, root string) *machine {
	t.Helper()
	m := newMachine(t, options)
	m.start(t, root, "")
	m.ok(t, "sh", "-c", asOnEveryHost)
	return m
}

// asOnEveryHost is what a host has that is no container.
const asOnEveryHost = "mount -o remount,rw /proc/sys; mount -t bpf -o nosuid,nodev,noexec,mode=700 bpf /sys/fs/bpf"

// newMachine is a machine that is off.
func newMachine(t *testing.T, options lab.Options) *machine {
	t.Helper()
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Fatalf("%v: install Debian's systemd-container", err)
	}
	m := &machine{Lab: must[*lab.Lab](t)(lab.New(options)), console: filepath.Join(t.TempDir(), "console"), guarded: map[netip.Addr]int{}}
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(m.console)
			t.Logf("the console:\n%s", text[max(0, len(text)-4000):])
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	must[*lab.Server](t)(m.Far.Serve(servicePort))
	for _, r := range m.Routers {
		m.captures = append(m.captures, must[*lab.Capture](t)(r.Capture("down")))
	}
	return m
}

// start boots it with more units than it has by itself, and options of
// systemd-nspawn.
func (m *machine) start(t *testing.T, root, wants string, options ...string) {
	t.Helper()
	args := append([]string{"-m", "sh", "-c", bootScript, "sh", must[string](t)(filepath.Abs(root)), built, m.console, wants}, options...)
	if err := m.Host.Command("unshare", args...).In(cgroup).Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "systemd has booted", m.booted)
}

// booted finds systemd, and asks it.
func (m *machine) booted() error {
	scope := filepath.Join(m.CgroupRoot(), cgroup, "payload/init.scope/cgroup.procs")
	pids, err := os.ReadFile(scope)
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(pids), "\n")
	if m.pid = first; first == "" {
		return errors.New("no process is in init.scope")
	}
	out, err := m.run("systemctl", "is-system-running")
	if state := strings.TrimSpace(out); state != "running" && state != "degraded" {
		return fmt.Errorf("systemd says %q: %w", state, err)
	}
	return nil
}

// run runs a command on the machine, outside of every unit.
func (m *machine) run(args ...string) (string, error) {
	enter := []string{"-t", m.pid, "-m", "-u", "-i", "-p", "-C", "--", "env", "-C", "/", "XDG_RUNTIME_DIR=/run/user/0", "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return m.Host.Command("nsenter", append(enter, args...)...).CombinedOutput()
}

func (m *machine) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.run(args...)
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// write writes a file of the machine's.
func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join("/proc", m.pid, "root", path)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// state is the rules and routes of the machine, those of links that
// networkd has its hand on apart.
func (m *machine) state(t *testing.T) string {
	t.Helper()
	return m.ok(t, "sh", "-c", "ip rule; ip -6 rule; ip route show table all dev up-b; ip route show default")
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

// eventually is for what takes its time, more of it on a busy machine.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for err := check(); err != nil; err = check() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not yet: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
