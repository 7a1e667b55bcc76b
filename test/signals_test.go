// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"waymark/internal/lab"
)

// interrupted starts a command, sends it a signal when it waits for somebody, as a
// terminal does to all that it has started, and returns how it ended and what it
// said.
func (s *site) interrupted(t *testing.T, with syscall.Signal, path string, waits func() bool, args ...string) (syscall.WaitStatus, string) {
	t.Helper()
	var said bytes.Buffer
	c := s.Host.Command(s.command(t), args...)
	c.Stdout, c.Stderr = &said, &said
	c.Env = append(c.Environ(), "PATH="+path+":"+os.Getenv("PATH"))
	c.SysProcAttr.Setpgid = true
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventuallyLong(t, "it waits", func() error {
		if !waits() {
			return errors.New("it does not")
		}
		return nil
	})
	if err := syscall.Kill(-c.Process.Pid, with); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // the state says it
	return c.ProcessState.Sys().(syscall.WaitStatus), said.String()
}

// TestInterrupted interrupts verbs that read while a program that they ask hangs:
// they are gone at once, as they changed nothing.
func TestInterrupted(t *testing.T) {
	s := newSite(t, lab.Options{})
	dir := t.TempDir()
	asked := filepath.Join(dir, "asked")
	for _, name := range []string{"nft", "iptables-save"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\ntouch "+asked+"\nexec sleep 20 >/dev/null 2>&1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	policy := s.write(t, twoUplinks+"classes: [{name: x, route: [b], match: [{uid: 1}]}]\n")
	for _, args := range [][]string{append([]string{"doctor"}, policy...), {"init", "-f", "-"}, {"import", "-f", "-"}, append([]string{"plan"}, policy...)} {
		_ = os.Remove(asked)
		status, said := s.interrupted(t, syscall.SIGINT, dir, func() bool { _, err := os.Stat(asked); return err == nil }, args...)
		if (!status.Signaled() || status.Signal() != syscall.SIGINT) && status.ExitStatus() != 128+int(syscall.SIGINT) { // the latter where the tests run in a background
			t.Errorf("%s: %v, want that the signal ends it: %s", args[0], status, said)
		}
	}
}

// TestInterruptedBeforeItChanges interrupts those that are to change something, or
// make something for a while: nothing is left of it.
func TestInterruptedBeforeItChanges(t *testing.T) {
	s := newSite(t, lab.Options{})
	socket := filepath.Join(t.TempDir(), "engine")
	engine := must[net.Listener](t)(net.Listen("unix", socket))
	asked := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := engine.Accept()
			if err != nil {
				return
			}
			asked <- c
		}
	}()
	policy := twoUplinks + "containers: {sockets: [\"unix://" + socket + "\"]}\nclasses: [{name: x, route: [b], match: [{uid: 1}, {container: db}]}]\n"
	stopped := func(with syscall.Signal, waits func() bool, verb string, args ...string) {
		t.Helper()
		status, said := s.interrupted(t, with, "/", waits, append([]string{verb}, args...)...)
		if status.ExitStatus() != 1 || !strings.Contains(said, verb+": stopped: ") {
			t.Errorf("%s: exit %v: %s", verb, status, said)
		}
	}
	s.mark(t)
	for _, with := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		before := len(asked)
		stopped(with, func() bool { return len(asked) > before }, "apply", s.write(t, policy)...)
	}
	if o := s.waymark(t, "status"); o.code == 0 {
		t.Errorf("it was applied:\n%s", o.stdout)
	}
	s.check(t, engine.Close())
	s.apply(t, policy)
	s.dead(t, byB, true)
	defer s.dead(t, byB, false)
	stopped(syscall.SIGINT, func() bool {
		packets, _ := s.captures[byB].Packets()
		return slices.ContainsFunc(packets, func(p lab.Packet) bool { return p.Dst.Port() == 7 })
	}, "verify", "--target", "203.0.113.1:7")
}
