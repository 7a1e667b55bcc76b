// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A tunnel is an interface without neighbours, as long as its file is open.
// Nobody reads what goes into it.
type tunnel struct {
	file *os.File
}

// tunSetCarrier is TUNSETCARRIER (Linux 5.0).
const tunSetCarrier = 0x400454e2

// addTunnel makes one on the host.
func (c *Copy) addTunnel(name string) error {
	return c.Host.Do(func() error {
		file, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("%w: `modprobe tun` makes it", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(int(file.Fd()), unix.TUNSETIFF, request)
		}
		if err != nil {
			file.Close()
			return err
		}
		c.tunnels[name] = &tunnel{file}
		return c.lab.own(file)
	})
}

func (t *tunnel) carrier(on bool) error {
	value := int32(0)
	if on {
		value = 1
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, t.file.Fd(), tunSetCarrier, uintptr(unsafe.Pointer(&value)))
	if errno != 0 {
		return fmt.Errorf("set the carrier of a tunnel: %w", errno)
	}
	return nil
}
