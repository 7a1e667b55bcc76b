// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/internal/verify"
)

const verified = twoUplinks + `classes:
  - {name: group, route: [b, a], match: [{cgroup: app.slice}, {cgroup: routers.slice, proto: esp, dst: 192.0.2.9}]}
  - {name: user, route: [b], otherwise: unreachable, match: [{uid: 2000}]}
`

// TestVerifyWrongHosts spoils a host in ways of its own, and sees each found
// where it hurts and said in words.
func TestVerifyWrongHosts(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "routers.slice")
	s.apply(t, verified)
	if found := s.verify(t, 0); verify.Failed(found) > 0 {
		t.Fatalf("the right host is wrong: %v", found)
	}
	for _, c := range []struct {
		name, damage, cure string
		code               int
		group, words       string
	}{
		{"a rule is gone", "ip rule del priority 1021", "", 1, verify.Simulation, "table: the plan says 7001, the kernel 7000"},
		{"what keeps a class in is gone", "ip rule del priority 1032", "", 1, verify.Failure, "it leaves by up-a, though no uplink of its route works: ip -4 rule add priority 32766 "},
		{"a table is empty", "ip route flush table 7001", "", 1, verify.Simulation, "the plan says 7001, the kernel 7000"},
		{"a rule of others stands before", "ip rule add priority 10 lookup main", "ip rule del priority 10", 1, verify.Simulation, "it leaves by up-a and not by uplink b: ip -4 rule add priority 10 "},
		{"a mark of others is ours", "ip rule add priority 2000 fwmark 0x1000000/0xff000000 lookup 55", "ip rule del priority 2000", 1, verify.Structure, "belongs to"},
		{"a sysctl is another", "echo 0 >/proc/sys/net/ipv4/conf/up-b/ignore_routes_with_linkdown", "", 2, verify.Structure, "net/ipv4/conf/up-b/ignore_routes_with_linkdown is not 1"},
		{"a program is gone", "rm PINS/connect4", "", 2, verify.Structure, "connect4 is not attached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.shell(t, strings.ReplaceAll(c.damage, "PINS", s.pins()))
			found := s.verify(t, c.code)
			said(t, found, c.group, c.words)
			if c.cure != "" {
				s.shell(t, c.cure)
			}
			s.apply(t, verified)
			s.verify(t, 0)
		})
	}
	t.Run("a cgroup is out of the maps", func(t *testing.T) {
		s.forgetCgroups(t)
		found := s.verify(t, 1)
		said(t, found, verify.Classifier, "the programs give it no class and not class group: `waymark apply` fills their maps")
		said(t, found, verify.Classifier, "the programs give a datagram of a socket that is not connected no class and not class group")
		said(t, found, verify.Classifier, "the programs count a packet that leaves not as class group")
	})
}

// verify runs the command, which has to end with a code.
func (s *site) verify(t *testing.T, code int, args ...string) []verify.Check {
	t.Helper()
	o := s.waymark(t, append([]string{"verify", "-o", "json"}, args...)...)
	if o.code != code {
		t.Errorf("verify: exit %d, want %d: %s\n%s", o.code, code, o.stderr, o.stdout)
	}
	return item[[]verify.Check](t, o.stdout)
}

// said checks that a check of a group is wrong, in these words.
func said(t *testing.T, checks []verify.Check, group, words string) {
	t.Helper()
	for _, c := range checks {
		if c.Group == group && strings.Contains(strings.Join(c.Wrong, "\n"), words) {
			return
		}
	}
	t.Errorf("no check of %s says %q: %v", group, words, checks)
}

// forgetCgroups puts empty maps in place of the cgroups of both versions of the
// table.
func (s *site) forgetCgroups(t *testing.T) {
	t.Helper()
	outer := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapCgroups), nil))
	defer outer.Close()
	const noPreallocation = 1 // BPF_F_NO_PREALLOC
	for version := range uint32(2) {
		empty := must[*ebpf.Map](t)(ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: 8, Flags: noPreallocation}))
		if err := outer.Put(version, empty); err != nil {
			t.Error(err)
		}
		empty.Close()
	}
}

// TestVerifyKilled kills the command while its copy of the host is up. The next
// one takes away what is left of it.
func TestVerifyKilled(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, verified)
	c, left := s.injecting(t, nil)
	_ = c.Process.Kill()
	_ = c.Wait()
	s.ok(t, "verify", "--inject")
	if datapath.HasOurs(left) {
		t.Errorf("%s is still there", left)
	}
	if left := must[string](t)(s.Host.Command("find", s.CgroupRoot(), "-name", "waymark-verify-*").Output()); left != "" {
		t.Errorf("cgroups are left: %s", left)
	}
}

// TestVerifyStopped has somebody press Ctrl-C while the copy is up: no more uplinks
// fail, and nothing of it is left.
func TestVerifyStopped(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, verified)
	var said bytes.Buffer
	c, left := s.injecting(t, &said)
	_ = c.Process.Signal(os.Interrupt)
	if err := c.Wait(); c.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "stopped") {
		t.Errorf("%v: %s", err, &said)
	}
	if datapath.HasOurs(left) {
		t.Errorf("%s is still there", left)
	}
	s.ok(t, "verify")
}

// injecting starts the command, and waits until its copy of the host is up, which
// left is the directory of.
func (s *site) injecting(t *testing.T, stderr io.Writer) (c *lab.Cmd, left string) {
	t.Helper()
	c = s.Host.Command(binary(t), "verify", "--inject")
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, "the copy is there", func() (err error) {
		left, err = s.copyOf(c.Process.Pid)
		return err
	})
	return c, left
}

// copyOf is the directory of what a process applied in a copy of its host.
func (s *site) copyOf(pid int) (string, error) {
	dirs, err := filepath.Glob(filepath.Join(filepath.Dir(s.pins()), "*"))
	for _, dir := range dirs {
		raw, err := datapath.ReadState(dir)
		if err != nil {
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(z) // as much as there is
		if strings.Contains(string(text), fmt.Sprintf("--inject, process %d\"", pid)) {
			return dir, nil
		}
	}
	return "", errors.Join(err, errors.New("no state is of its author"))
}
