// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// DefaultAddress is where Waymark listens unless told otherwise: nobody but
// the host itself gets there.
const DefaultAddress = "127.0.0.1:9955"

const (
	unixPrefix      = "unix:"
	inheritedPrefix = "fd:"
)

// Listen listens on "HOST:PORT", ":PORT" for every address of the host,
// "unix:/PATH", a socket that the process's user and group may use, or "fd:N",
// a listening socket that the process was given. A socket at a path that
// nobody serves any more is taken over.
func Listen(address string) (net.Listener, error) {
	if path, is := strings.CutPrefix(address, unixPrefix); is {
		return listenUnix(path)
	}
	if number, is := strings.CutPrefix(address, inheritedPrefix); is {
		return inherited(number)
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("listen on %s: it is no address: write HOST:PORT, as %s, or unix:/PATH", address, DefaultAddress)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, taken(address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, cause(err))
	}
	return l, nil
}

func listenUnix(path string) (net.Listener, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("listen on %s%s: write the whole path, as unix:/run/waymark.sock", unixPrefix, path)
	}
	// Nobody listens on a file of another kind either, and it is somebody's.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("listen on %s%s: something else than a socket is there: name another path", unixPrefix, path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, taken(unixPrefix + path)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s%s: %w", unixPrefix, path, cause(err))
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s%s: %w", unixPrefix, path, err)
	}
	return l, nil
}

// inherited is a listener that another process opened, perhaps in another
// network namespace: systemd's socket units give theirs from 3 on.
func inherited(number string) (net.Listener, error) {
	fd, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen on %s%s: write the number of a descriptor, as fd:3", inheritedPrefix, number)
	}
	// A copy, for the number may be of something else that the process needs.
	syscall.CloseOnExec(int(fd))
	copied, err := syscall.Dup(int(fd))
	if err != nil {
		return nil, notGiven(number, err)
	}
	f := os.NewFile(uintptr(copied), inheritedPrefix+number)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, notGiven(number, cause(err))
	}
	return l, nil
}

func notGiven(number string, err error) error {
	return fmt.Errorf("listen on %s%s: this process was given no such listening socket: %w", inheritedPrefix, number, err)
}

func taken(address string) error {
	return fmt.Errorf("listen on %s: %w: end the process that does, or name another address with --listen", address, syscall.EADDRINUSE)
}

// NotYet tells whether an error of Listen may pass by itself: the address is
// another process's now, or not the host's yet.
func NotYet(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// cause is what the kernel said, without the words around it.
func cause(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Private tells whether nobody but the host itself can reach a listener.
func Private(l net.Listener) bool {
	a, isTCP := l.Addr().(*net.TCPAddr)
	return !isTCP || a.IP.IsLoopback()
}
