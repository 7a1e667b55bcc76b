// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"
)

// ErrNotInstalled is the error of Output for a program that is not there.
var ErrNotInstalled = errors.New("it is not installed")

// patience is how long a program may take that is asked for what it knows.
var patience = 10 * time.Second

// Output is what a program that changes nothing prints, within its patience.
func Output(name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if err != nil {
			path, err = exec.LookPath(dir + name)
		}
	}
	if err != nil {
		return "", fmt.Errorf("run %s: %w", name, ErrNotInstalled)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.WaitDelay = time.Second // a child of its own may keep what it prints open
	out, err := command.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("it did not end within %s", patience)
	case errors.As(err, &exit):
		if said := bytes.TrimSpace(exit.Stderr); len(said) > 0 {
			err = fmt.Errorf("%w: %s", err, said)
		}
		if os.Geteuid() != 0 {
			err = fmt.Errorf("%w: %w", os.ErrPermission, err)
		}
	}
	if err != nil {
		return "", fmt.Errorf("run %s: %w", name, err)
	}
	return string(out), nil
}

// Interfaces are all network interfaces of the namespace.
func Interfaces() ([]net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	return all, nil
}
