// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// beFirstProcess does the guest's work: it makes what every Linux host has,
// runs the command that was ordered, answers, and turns the machine off.
func beFirstProcess() {
	var a answer
	note := func(what string, err error) {
		if err != nil {
			a.Notes = append(a.Notes, fmt.Sprintf("%s: %v", what, err))
		}
	}
	for _, m := range mounts {
		note("make "+m.at, os.MkdirAll(m.at, 0o755))
		// Some kernels have mounted /dev already.
		if err := syscall.Mount(m.kind, m.at, m.kind, 0, ""); !errors.Is(err, syscall.EBUSY) {
			note("mount "+m.at, err)
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	note("read the release", err)
	a.Release = strings.TrimSpace(string(release))
	o, err := readOrder()
	note("read the order", err)
	for _, path := range o.Modules {
		note("load "+filepath.Base(path), loadModule(path))
	}
	// Else every namespace would have one of each kind from the start.
	note("keep tunnels to this namespace", os.WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", []byte("2"), 0))
	note("set lo up", setUp("lo"))
	note("lift the limit of locked memory", unlimitMemory())
	a.Status, err = o.carryOut()
	note("run the command", err)
	// Without an answer the host says what is on the console.
	if err := a.send(); err != nil {
		fmt.Println("send the answer:", err)
	}
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

var mounts = []struct{ kind, at string }{
	{"proc", "/proc"},
	{"devtmpfs", "/dev"},
	{"sysfs", "/sys"},
	{"bpf", "/sys/fs/bpf"},
	{"cgroup2", "/sys/fs/cgroup"},
}

func readOrder() (o order, err error) {
	text, err := os.ReadFile(orderPath)
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(text, &o)
}

// carryOut runs the command, with its output on its serial line.
func (o order) carryOut() (status int, err error) {
	line, err := openLine(outputLine)
	if err != nil {
		return statusNoAnswer, err
	}
	defer line.Close() // waits until all is sent
	if len(o.Command) == 0 {
		return statusNotFound, errors.New("there is none")
	}
	c := exec.Command(o.Command[0], o.Command[1:]...)
	c.Dir, c.Env, c.Stdout, c.Stderr = o.Folder, o.Env, line, line
	var exit *exec.ExitError
	switch err := c.Run(); {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return statusNotFound, err
	}
	if w := exit.Sys().(syscall.WaitStatus); w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return exit.ExitCode(), nil
}

func (a answer) send() error {
	line, err := openLine(answerLine)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(line).Encode(a), line.Close())
}
