// SPDX-License-Identifier: Apache-2.0

package hosts

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"waymark/loader"
)

// networkC gives networkd a link to configure, with the addresses it has.
const networkC = `[Match]
Name=up-c
[Network]
Address=10.0.3.2/24
Address=2001:db8:3::2/64
LinkLocalAddressing=no
IPv6AcceptRA=no
`

const networkd = "systemd-networkd.service"

// testNetworkd has systemd-networkd remove what it did not make, as it does by
// default: status says what is missing, and apply mends it.
func (m *machine) testNetworkd(t *testing.T) {
	m.ok(t, "waymark", "apply")
	if err := m.undrifted(); err != nil {
		t.Fatalf("before networkd starts: %v", err)
	}
	m.write(t, "/etc/systemd/network/10-c.network", networkC)
	m.reconfigure(t)
	eventually(t, "status shows that networkd removed rules", func() error {
		s, err := m.status()
		if err == nil && len(s.Drift.AddRules) == 0 {
			err = fmt.Errorf("the kernel differs by %+v", s.Drift)
		}
		return err
	})
	if text := m.ok(t, "waymark", "status"); !strings.Contains(text, "fwmark") {
		t.Errorf("status says nothing of a rule that is missing:\n%s", text)
	}
	m.settled(t)
	m.ok(t, "waymark", "apply")
	if err := m.undrifted(); err != nil {
		t.Error(err)
	}
	m.leaves(t, "after apply", byB, func(t *testing.T) { m.ok(t, "systemctl", "start", "named.service") })
}

// reconfigure restarts networkd and has it configure its link anew. Which of
// the two removes rules depends on its version: that of Debian 12 (252) keeps
// them over a restart.
func (m *machine) reconfigure(t *testing.T) {
	t.Helper()
	m.ok(t, "systemctl", "restart", networkd)
	m.settled(t)
	m.ok(t, "networkctl", "reconfigure", "up-c")
}

// settled waits until networkd has configured its link.
func (m *machine) settled(t *testing.T) {
	t.Helper()
	eventually(t, "networkd has configured up-c", func() error {
		out, err := m.run("networkctl", "--no-legend", "list", "up-c")
		if err == nil && !strings.Contains(out, " configured") {
			err = errors.New(out)
		}
		return err
	})
}

// testAgent has the agent as its unit runs it: what networkd removes is back
// at once, and the log says who it was.
func (m *machine) testAgent(t *testing.T) {
	unit := must[[]byte](t)(os.ReadFile("../../dist/waymark.service"))
	m.write(t, "/etc/systemd/system/waymark.service", string(unit))
	m.ok(t, "systemctl", "daemon-reload")
	m.ok(t, "systemctl", "start", "waymark.service")
	said := func() string { return m.ok(t, "journalctl", "--no-pager", "-o", "cat", "-u", "waymark.service") }
	m.reconfigure(t)
	since := time.Now()
	eventually(t, "the agent puts the rules back, and names networkd", func() error {
		for line := range strings.Lines(said()) {
			if strings.Contains(line, "kind=rule") && strings.Contains(line, networkd) {
				return m.undrifted()
			}
		}
		return errors.New(said())
	})
	t.Logf("%s after networkd was told, all is seen to be back:\n%s", time.Since(since),
		m.ok(t, "journalctl", "--no-pager", "-o", "short-precise", "-u", "waymark.service", "-u", networkd, "-n", "40"))
	m.leaves(t, "under the agent", byB, func(t *testing.T) { m.ok(t, "systemctl", "start", "named.service") })
	m.ok(t, "systemctl", "stop", "systemd-networkd.socket", networkd)
	m.ok(t, "systemctl", "stop", "waymark.service")
	if t.Failed() {
		t.Logf("the agent's log:\n%s", said())
	}
	m.leaves(t, "after the agent", byB, func(t *testing.T) { m.ok(t, "systemctl", "start", "named.service") })
}

func (m *machine) status() (loader.Status, error) {
	var out struct{ Item loader.Status }
	text, err := m.run("waymark", "status", "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &out)
	}
	return out.Item, err
}

// undrifted tells how the kernel differs from what is applied.
func (m *machine) undrifted() error {
	s, err := m.status()
	if err == nil && !s.Drift.Empty() {
		err = fmt.Errorf("the kernel differs by %+v", s.Drift)
	}
	return err
}
