// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// A stand is a laboratory whose main route is by router a, and by router b
// what carries the mark or b's source address.
type stand struct {
	*lab.Lab
	captures []*lab.Capture // by router
}

const (
	mark  = 5
	table = 100
	port  = 7
)

func newStand(t *testing.T) *stand {
	t.Helper()
	l := must(lab.New(lab.Options{}))(t)
	t.Cleanup(func() {
		_, err := os.Stat(filepath.Join(l.CgroupRoot(), "cgroup.kill"))
		canKill := err == nil // since 5.14
		if err := l.Close(); err != nil && canKill {
			t.Error(err)
		}
	})
	must(l.Far.Serve(port))(t)
	s := &stand{Lab: l}
	for _, r := range l.Routers {
		s.captures = append(s.captures, must(r.Capture("down"))(t))
	}
	b := l.Uplink(1)
	s.routeTo(t, unix.AF_INET, b.Gateway4.AsSlice(), b.Address4.AsSlice())
	s.routeTo(t, unix.AF_INET6, b.Gateway6.AsSlice(), b.Address6.AsSlice())
	return s
}

// routeTo makes the table of router b and the rules that lead there.
func (s *stand) routeTo(t *testing.T, family int, gateway, source net.IP) {
	t.Helper()
	nl, bits := s.Host.Handle(), 8*len(source)
	marked, from := netlink.NewRule(), netlink.NewRule()
	marked.Family, marked.Table, marked.Priority, marked.Mark = family, table, 500, mark
	from.Family, from.Table, from.Priority, from.Src = family, table, 501, &net.IPNet{IP: source, Mask: net.CIDRMask(bits, bits)}
	if err := errors.Join(
		nl.RouteAdd(&netlink.Route{Family: family, Table: table, Gw: gateway, LinkIndex: s.uplink(t, 1)}),
		nl.RuleAdd(marked), nl.RuleAdd(from)); err != nil {
		t.Fatal(err)
	}
}

// uplink is the interface index of uplink number i on the host.
func (s *stand) uplink(t *testing.T, i int) int {
	t.Helper()
	return must(s.Host.Handle().LinkByName(s.Uplink(i).Interface))(t).Attrs().Index
}

// job is one datagram, or an open connection with nothing sent.
func (s *stand) job(kind lab.Kind, v6 bool) lab.Job {
	return lab.Job{Kind: kind, To: addresses(v6), Count: 1, Size: 16, NoReply: true}
}

// drain forgets what the routers got.
func (s *stand) drain(t *testing.T) { s.way(t) }

// way names the routers that got TCP or UDP since they were asked last:
// "a", "b", "ab".
func (s *stand) way(t *testing.T) (way string) {
	t.Helper()
	for i, c := range s.captures {
		for _, p := range must(c.Packets())(t) {
			if p.Dst.Port() == port && !strings.Contains(way, s.Uplink(i).Name) {
				way += s.Uplink(i).Name
			}
		}
	}
	return way
}

// works skips unless the packets of a job went by router b.
func (s *stand) works(t *testing.T, job lab.Job) lab.Result {
	t.Helper()
	s.drain(t)
	r := must(s.Host.Run(job))(t)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if way := s.way(t); way != "b" {
		t.Skipf("%s to %v went by %q", job.Kind, job.To, way)
	}
	return r
}

// load skips if the kernel refuses a program.
func load(t *testing.T, spec *ebpf.ProgramSpec) *ebpf.Program {
	t.Helper()
	spec.License = "GPL"
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// attachCgroup attaches a program to the laboratory's cgroups, for one test.
func (s *stand) attachCgroup(t *testing.T, p *ebpf.Program, at ebpf.AttachType) {
	t.Helper()
	dir := must(os.Open(s.CgroupRoot()))(t)
	defer dir.Close()
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: p, Attach: at})
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
}

// must is for errors that say nothing about the kernel.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
