// SPDX-License-Identifier: Apache-2.0

package hosts

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// The uplinks by their place in the laboratory.
const (
	byA = iota
	byB
	byC
)

// policy has a class for every way a unit can be named.
const policy = `uplinks:
  - {name: a, interface: up-a}
  - {name: b, interface: up-b, gateway: [10.0.2.1, "2001:db8:2::1"]}
  - {name: c, interface: up-c, gateway: [10.0.3.1, "2001:db8:3::1"]}
classes:
  - {name: units, route: [b], match: [{unit: [named.service, stays.service, "many@*.service", "once-*.service", asked.service, "each@*.service"]}]}
  - {name: slices, route: [c], match: [{cgroup: fast.slice}]}
  - {name: globs, route: [c], match: [{cgroup: "system.slice/job-*.service"}]}
  - {name: users, route: [c], match: [{unit: {name: mine.service, user: root}}]}
  - {name: nobody, route: [b], match: [{unit: {name: theirs.service, user: nobody}}]}
  - {name: by-hand, route: [c], match: [{cgroup: nowhere.slice}]}
` + closedClass

// say opens a connection by each family, the first thing it does.
const say = `#!/bin/bash
for to in 203.0.113.1 2001:db8:f::1; do
	exec 9<>"/dev/tcp/$to/7" && read -r seen <&9 && exec 9>&-
done
`

// unit files: a service that says and ends, and one that stays.
const (
	ends  = "[Service]\nType=oneshot\nExecStart=/usr/local/bin/say\n"
	stays = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/bash -c '/usr/local/bin/say; systemd-notify --ready; exec sleep infinity'\n"
)

func (m *machine) installUnits(t *testing.T) {
	t.Helper()
	m.write(t, "/etc/waymark/policy.yaml", policy)
	m.write(t, "/usr/local/bin/say", say)
	for name, text := range map[string]string{
		"named.service": ends, "other.service": ends, "many@.service": ends, "job-1.service": ends, "mine.service": ends, "theirs.service": ends,
		"moves.service": ends, "stays.service": stays, "asked.service": stays, "closed.service": insists,
		"asked.socket":  "[Socket]\nListenStream=127.0.0.1:7001\n",
		"each.socket":   "[Socket]\nListenStream=127.0.0.1:7002\nAccept=yes\n",
		"each@.service": "[Service]\nStandardInput=socket\nExecStart=/usr/local/bin/say\n",
	} {
		m.write(t, "/etc/systemd/system/"+name, text)
	}
	// What pam_systemd says where logind is installed.
	m.write(t, "/etc/systemd/system/user@.service.d/runtime.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n")
	for _, name := range []string{"mine.service", "theirs.service", "other.service"} {
		m.write(t, "/etc/systemd/user/"+name, ends)
	}
	m.ok(t, "systemctl", "daemon-reload")
}

// testUnits starts units in every way there is: the first packet of each is
// on its class's uplink.
func (m *machine) testUnits(t *testing.T) {
	m.ok(t, "waymark", "apply")
	start := func(unit string) func(*testing.T) {
		return func(t *testing.T) { m.ok(t, "systemctl", "start", unit) }
	}
	m.leaves(t, "started", byB, start("named.service"))
	m.leaves(t, "started again", byB, start("named.service"))
	m.leaves(t, "in no class", byA, start("other.service"))
	m.leaves(t, "stays", byB, start("stays.service"))
	m.leaves(t, "restarted", byB, func(t *testing.T) { m.ok(t, "systemctl", "restart", "stays.service") })
	m.leaves(t, "template", byB, start("many@1.service"))
	m.leaves(t, "template with escapes", byB, start(`many@a\x2db.service`))
	m.leaves(t, "glob", byC, start("job-1.service"))
	m.leaves(t, "transient", byB, func(t *testing.T) {
		m.ok(t, "systemd-run", "--quiet", "--wait", "--unit=once-1.service", "--slice=deep-down.slice", "/usr/local/bin/say")
	})
	m.leaves(t, "transient scope in a slice", byC, func(t *testing.T) {
		m.ok(t, "systemd-run", "--quiet", "--scope", "--slice=fast-er.slice", "/usr/local/bin/say")
	})
	m.testSockets(t)
	m.testSlices(t)
	m.testUsers(t)
	m.testUnknown(t)
	m.leaves(t, "in no class, at last", byA, start("other.service"))
}

// testSockets has services started by who connects to them.
func (m *machine) testSockets(t *testing.T) {
	for _, s := range []struct{ socket, at string }{{"asked.socket", "127.0.0.1:7001"}, {"each.socket", "127.0.0.1:7002"}} {
		m.ok(t, "systemctl", "start", s.socket)
		m.leaves(t, s.socket, byB, func(t *testing.T) {
			err := m.Host.Do(func() error {
				conn, err := net.Dial("tcp", s.at)
				if err == nil {
					t.Cleanup(func() { conn.Close() })
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// testSlices moves services between slices: one whose slice is its class,
// and one that keeps its class by its name.
func (m *machine) testSlices(t *testing.T) {
	for _, s := range []struct {
		slice  string
		router int
	}{{"slow.slice", byA}, {"fast.slice", byC}, {"fast-deep.slice", byC}, {"slow.slice", byA}} {
		for _, unit := range []string{"moves.service", "stays.service"} {
			m.write(t, "/etc/systemd/system/"+unit+".d/slice.conf", "[Service]\nSlice="+s.slice+"\n")
		}
		m.ok(t, "systemctl", "daemon-reload")
		restart := func(unit string) func(*testing.T) {
			return func(t *testing.T) { m.ok(t, "systemctl", "restart", unit) }
		}
		m.leaves(t, "moves to "+s.slice, s.router, restart("moves.service"))
		m.leaves(t, "stays in its class in "+s.slice, byB, restart("stays.service"))
	}
}

// testUsers has units of a user's own manager, beside the system's of the
// same name.
func (m *machine) testUsers(t *testing.T) {
	m.ok(t, "systemctl", "start", "user@0.service")
	user := func(unit string) func(*testing.T) {
		return func(t *testing.T) { m.ok(t, "systemctl", "--user", "start", unit) }
	}
	m.leaves(t, "a user's", byC, user("mine.service"))
	m.leaves(t, "the system's of that name", byA, func(t *testing.T) { m.ok(t, "systemctl", "start", "mine.service") })
	m.leaves(t, "another user's", byA, user("theirs.service"))
	m.leaves(t, "a user's in no class", byA, user("other.service"))
	m.ok(t, "systemctl", "stop", "user@0.service")
}

// testUnknown has check, plan and explain say that systemd does not know a
// unit; the first two for information only.
func (m *machine) testUnknown(t *testing.T) {
	m.write(t, "/root/policy.yaml", strings.Replace(policy, "unit: [", "unit: [mistyped.service, ", 1))
	for _, verb := range []string{"check", "plan"} {
		out := m.ok(t, "waymark", verb, "-f", "/root/policy.yaml")
		if strings.Count(out, "systemd has none of that name") != 1 || !strings.Contains(out, "unit mistyped.service: ") {
			t.Errorf("waymark %s does not say that one unit is unknown:\n%s", verb, out)
		}
	}
	if out, err := m.run("waymark", "explain", "--unit", "mistyped.service"); err == nil || !strings.Contains(out, "none of that name") {
		t.Errorf("explain says %v: %s", err, out)
	}
	if out, err := m.run("waymark", "explain", "--unit", "named.service"); err == nil || !strings.Contains(out, "start it") {
		t.Errorf("explain of a unit that does not run says %v: %s", err, out)
	}
	if out := m.ok(t, "waymark", "explain", "--unit", "stays.service"); !strings.Contains(out, "units") {
		t.Errorf("explain of a unit that runs says: %s", out)
	}
}

// leaves checks that what do starts leaves by one router and no other, from
// the first packet on, with that uplink's address.
func (m *machine) leaves(t *testing.T, name string, router int, do func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		m.collect(t)
		do(t)
		u := m.Uplink(router)
		at := m.connections(t)
		for _, source := range []netip.Addr{u.Address4, u.Address6} {
			first := slices.IndexFunc(at[router], func(p lab.Packet) bool { return p.Src.Addr() == source })
			if first < 0 || at[router][first].TCPFlags != syn {
				t.Errorf("router %d got no connection from %s with its SYN first", router, source)
			}
		}
		begun := map[netip.AddrPort]bool{}
		for _, packets := range at {
			for _, p := range packets {
				begun[p.Src] = begun[p.Src] || p.TCPFlags == syn
			}
		}
		for n, packets := range at {
			for _, p := range packets {
				if p.TCPFlags == ack && !begun[p.Src] {
					continue // the last word of an earlier connection, on a busy machine
				}
				if a := p.Src.Addr(); n != router || a != u.Address4 && a != u.Address6 {
					t.Errorf("router %d got %v; all should pass router %d, from its uplink's address", n, p, router)
				}
			}
		}
	})
}

const fin, syn, ack = 1, 2, 16 // lab.Packet.TCPFlags

// connections is what each router got, when both connections of `say` have
// come to their end.
func (m *machine) connections(t *testing.T) [][]lab.Packet {
	t.Helper()
	at := make([][]lab.Packet, len(m.captures))
	eventually(t, "a connection of each family ends", func() error {
		ended := map[bool]bool{}
		for n, packets := range m.collect(t) {
			at[n] = append(at[n], packets...)
			for _, p := range at[n] {
				if p.TCPFlags&fin != 0 {
					ended[p.Src.Addr().Is4()] = true
				}
			}
		}
		if len(ended) < 2 {
			return fmt.Errorf("the routers got %v", at)
		}
		return nil
	})
	return at
}

// collect is what the routers got for the far server since they were asked last.
func (m *machine) collect(t *testing.T) (at [][]lab.Packet) {
	t.Helper()
	for router, c := range m.captures {
		got := must[[]lab.Packet](t)(c.Packets())
		at = append(at, slices.DeleteFunc(got, func(p lab.Packet) bool {
			if isClosed(p) {
				m.guard(t, router, p)
				return true
			}
			return p.Proto != unix.IPPROTO_TCP || p.Dst.Port() != servicePort
		}))
	}
	return at
}
