// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A machine is one guest. It is emulated whole (TCG), so that neither KVM nor
// root is needed; it has no disk and no network, only an initramfs and three
// serial lines.
type machine struct {
	kernel string            // folder of an unpacked kernel package
	files  map[string]string // by the path in the guest: a file of the host
	env    []string
	limit  time.Duration
}

// run boots the machine, runs a static binary of the host in it and returns
// the binary's exit status. The binary's standard output and error become
// this process's output.
func (m *machine) run(command []string) (status int, err error) {
	dir, err := os.MkdirTemp("", "waymark-kernels-")
	if err != nil {
		return statusNoAnswer, err
	}
	defer os.RemoveAll(dir)
	initramfs := filepath.Join(dir, "initramfs")
	if err := m.writeInitramfs(initramfs, command); err != nil {
		return statusNoAnswer, fmt.Errorf("make the initramfs: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.limit)
	defer cancel()
	ended := m.emulate(ctx, dir, initramfs)
	console := filepath.Join(dir, consoleLine)
	text, _ := os.ReadFile(filepath.Join(dir, answerLine))
	var a answer
	switch err := json.Unmarshal(text, &a); {
	case err == nil:
		for _, note := range a.Notes {
			fmt.Fprintf(os.Stderr, "kernels: %s: %s\n", a.Release, note)
		}
		return a.Status, nil
	case ctx.Err() != nil:
		return statusTimeout, fmt.Errorf("%s: ended after %s\n%s", filepath.Base(m.kernel), m.limit, lastLines(console))
	}
	return statusNoAnswer, fmt.Errorf("%s: no answer from the guest (QEMU: %v)\n%s", filepath.Base(m.kernel), ended, lastLines(console))
}

// emulate returns when the guest is off.
func (m *machine) emulate(ctx context.Context, dir, initramfs string) error {
	image, err := m.find("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "q35,accel=tcg", "-cpu", "max", "-m", "1G",
		"-serial", "file:"+filepath.Join(dir, consoleLine), "-serial", "stdio", "-serial", "file:"+filepath.Join(dir, answerLine),
		"-kernel", image, "-initrd", initramfs,
		"-append", "console="+consoleLine+" quiet loglevel=4 panic=-1 oops=panic mitigations=off nokaslr")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c.Run()
}

// find is the first file of the kernel's package that one of the patterns
// names; since 6.19 the image lies with the modules.
func (m *machine) find(patterns ...string) (string, error) {
	for _, p := range patterns {
		if found, _ := filepath.Glob(filepath.Join(m.kernel, p)); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("find %s in %s: %w: fetch.sh gets kernels", patterns[0], m.kernel, errors.ErrUnsupported)
}

// lastLines is the end of what a guest's kernel said.
func lastLines(file string) string {
	text, _ := os.ReadFile(file)
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-30):], "\n")
}
