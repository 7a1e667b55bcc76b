// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// linkName is the name of the interface with an index, empty if there is
// none.
func (h *Handle) linkName(index int) (string, error) {
	_, name, err := h.link(index, "")
	if errors.Is(err, unix.ENODEV) {
		return "", nil
	}
	return name, err
}

// linkIndex is the index of a named interface; ENODEV if there is none.
func (h *Handle) linkIndex(name string) (int, error) {
	index, _, err := h.link(0, name)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	return index, nil
}

// link asks for one interface, by index or by name.
func (h *Handle) link(index int, name string) (int, string, error) {
	body := make(message, ifinfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	if name != "" {
		body.text(unix.IFLA_IFNAME, name)
	}
	msgs, err := h.change(unix.RTM_GETLINK, 0, body)
	if err != nil {
		return 0, "", err
	}
	if len(msgs) != 1 || len(msgs[0]) < ifinfomsg {
		return 0, "", unix.ENODEV
	}
	a := parse(msgs[0][ifinfomsg:])
	return int(int32(binary.NativeEndian.Uint32(msgs[0][4:]))), a.text(unix.IFLA_IFNAME), a.err
}
