// SPDX-License-Identifier: Apache-2.0

package hosts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// bootFiles are what the machine has before it boots: the policy, the units,
// and systemd-networkd to bring its links up.
var bootFiles = map[string]string{
	"/etc/waymark/policy.yaml": `uplinks:
  - {name: a, interface: up-a}
  - {name: b, interface: up-b}
  - {name: c, interface: up-c}
classes:
  - {name: early, route: [b], otherwise: unreachable, match: [{unit: early.service}]}
`,
	// It connects from the first moment on, as often as it can.
	"/opt/early": `#!/bin/bash
while :; do
	for to in 203.0.113.1 2001:db8:f::1; do
		(exec 9<>"/dev/tcp/$to/7") 2>/dev/null
	done
	sleep 0.05
done
`,
	"/etc/systemd/system/early.service":               "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/opt/early\n",
	"/etc/systemd/system/waymark.service.d/host.conf": "[Unit]\nRequires=host.service\nAfter=host.service\n",
	"/etc/systemd/system/host.service":                "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -ec '" + asOnEveryHost + "'\n",
	"/etc/systemd/network/10-up-a.network":            network("a", 1),
	"/etc/systemd/network/10-up-b.network":            network("b", 2),
	"/etc/systemd/network/10-up-c.network":            network("c", 3),
}

func network(name string, n int) string {
	return fmt.Sprintf("[Match]\nName=up-%[1]s\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nAddress=10.0.%[2]d.2/24\nAddress=2001:db8:%[2]d::2/64\n"+
		"[Route]\nGateway=10.0.%[2]d.1\nMetric=%[2]d\n[Route]\nGateway=2001:db8:%[2]d::1\nMetric=%[2]d\n", name, n)
}

// TestBoot boots a machine with the unit and networkd's setting as they are
// delivered, and a service that must not leak: the agent is ready before networkd begins, the service reaches
// nobody while its uplink is not there, and by that alone when it is.
func TestBoot(t *testing.T) {
	root := rootOf(t)
	m := newMachine(t, lab.Options{Uplinks: 3})
	for _, name := range []string{"a", "b", "c"} {
		m.before(t, "ip link set up-%[1]s down; ip addr flush dev up-%[1]s", name)
	}
	m.before(t, "ip link set up-%[1]s name to-come", "b")
	var options []string
	for path, delivered := range map[string]string{
		"/etc/systemd/system/waymark.service":       "waymark.service",
		"/etc/systemd/networkd.conf.d/waymark.conf": "networkd-foreign.conf",
	} {
		options = append(options, m.file(t, path, string(must[[]byte](t)(os.ReadFile("../../dist/"+delivered)))))
	}
	for path, text := range bootFiles {
		options = append(options, m.file(t, path, text))
	}
	m.start(t, root, "systemd.wants=early.service systemd.wants=waymark.service systemd.wants="+networkd, options...)
	eventually(t, "networkd has configured a and c", func() error {
		out, err := m.run("networkctl", "--no-legend", "list")
		if err == nil && strings.Count(out, " configured") < 2 {
			err = errors.New(out)
		}
		return err
	})
	if agent, net := m.when(t, "waymark.service", "ActiveEnter"), m.when(t, networkd, "InactiveExit"); agent == 0 || agent > net {
		t.Fatalf("the agent is ready at %d µs, and networkd begins at %d µs:\n%s", agent, net,
			m.ok(t, "journalctl", "--no-pager", "-o", "short-monotonic", "-n", "60", "-u", "waymark.service", "-u", networkd))
	}
	m.reached(t, nil)
	m.before(t, "ip link set to-come name up-%[1]s", "b")
	m.ok(t, "networkctl", "reconfigure", "up-b")
	defer func() {
		if t.Failed() {
			t.Log(m.run("sh", "-c", "waymark status; ip address; ip rule; ip route show table all; networkctl; journalctl --no-pager -o short-monotonic -n 60 -u waymark.service -u "+networkd))
		}
	}()
	eventually(t, "the service reaches the far server", func() error {
		if out, err := m.run("waymark", "status"); err != nil || !strings.Contains(out, "early") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return m.reached(t, []int{byB})
	})
	m.ok(t, "systemctl", "stop", "early.service")
	m.ok(t, "systemctl", "stop", "waymark.service")
	m.ok(t, "waymark", "down")
}

// before runs a command on the machine's network from outside.
func (m *machine) before(t *testing.T, format, name string) {
	t.Helper()
	if out, err := m.Host.Command("sh", "-ec", fmt.Sprintf(format, name)).CombinedOutput(); err != nil {
		t.Fatal(err, out)
	}
}

// file is the option with which the machine has a file when it boots.
func (m *machine) file(t *testing.T, path, text string) string {
	t.Helper()
	outside := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(outside, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return "--bind-ro=" + outside + ":" + path
}

// when is the time since the machine's start at which a unit did something.
func (m *machine) when(t *testing.T, unit, what string) int {
	t.Helper()
	out := m.ok(t, "systemctl", "show", "-P", what+"TimestampMonotonic", unit)
	return must[int](t)(strconv.Atoi(strings.TrimSpace(out)))
}

// reached tells by which routers connections of both families came since it was
// asked last; by others than want is an error of the test.
func (m *machine) reached(t *testing.T, want []int) error {
	t.Helper()
	seen := map[bool]bool{}
	for n, packets := range m.collect(t) {
		for _, p := range packets {
			if p.Proto != unix.IPPROTO_TCP {
				continue
			}
			if len(want) == 0 || n != want[0] {
				t.Errorf("router %d got %v", n, p)
			}
			seen[p.Src.Addr().Is4()] = true
		}
	}
	if len(want) > 0 && len(seen) < 2 {
		return fmt.Errorf("connections came of families %v", seen)
	}
	return nil
}
