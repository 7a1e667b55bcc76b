// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// DefaultAddress is where Waymark listens unless told otherwise: nobody but
// the host itself gets there.
const DefaultAddress = "127.0.0.1:9955"

const unixPrefix = "unix:"

// Listen listens on "HOST:PORT", ":PORT" for every address of the host, or
// "unix:/PATH", a socket that the process's user and group may use. A socket
// that nobody serves any more is taken over.
func Listen(address string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(address, unixPrefix)
	if isUnix {
		return listenUnix(path)
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
