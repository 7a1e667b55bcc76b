// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// What the guest asks of its kernel beyond what package syscall offers. The
// numbers are those of amd64, as every guest is.
const (
	sysFinitModule = 313
	rlimitMemlock  = 8
	baud115200     = 0o010002
	baudMask       = 0o010017
)

// loadModule loads a module; one that is there already is no error.
func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	parameters := []byte{0}
	_, _, errno := syscall.Syscall(sysFinitModule, f.Fd(), uintptr(unsafe.Pointer(&parameters[0])), 0)
	if errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}

// unlimitMemory matters to kernels before 5.11, which count BPF maps as
// locked memory.
func unlimitMemory() error {
	all := syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	return syscall.Setrlimit(rlimitMemlock, &all)
}

// setUp sets a link up.
func setUp(name string) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], name)
	request.flags = syscall.IFF_UP
	return ioctl(uintptr(fd), syscall.SIOCSIFFLAGS, unsafe.Pointer(&request))
}

// openLine opens a serial line on which bytes travel as they are written.
func openLine(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join("/dev", name), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	var t syscall.Termios
	if err := ioctl(f.Fd(), syscall.TCGETS, unsafe.Pointer(&t)); err != nil {
		return nil, err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^baudMask | baud115200 | syscall.CLOCAL
	return f, ioctl(f.Fd(), syscall.TCSETS, unsafe.Pointer(&t))
}

func ioctl(fd, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
