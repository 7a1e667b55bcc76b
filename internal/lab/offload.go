// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	featureStrings = 4  // ETH_SS_FEATURES, a string set of ethtool
	stringLength   = 32 // ETH_GSTRING_LEN
)

// disableOffload turns every segmentation and receive offload of an interface
// off, so that what its counters count is what a wire would carry.
func disableOffload(iface string) error {
	if err := setFeatures(iface, false, bundles); err != nil {
		return fmt.Errorf("turn offloads of %s off: %w", iface, err)
	}
	return nil
}

// Segment has an interface of the node send and receive single segments. It is
// for labs with Offload.
func (n *Node) Segment(iface string) error {
	return n.Do(func() error { return disableOffload(iface) })
}

// Aggregate has an interface of the node put the segments of a stream together
// as it receives them (GRO), as network cards do. It is for labs with Offload,
// and does nothing unless the interface at the other end sends single segments.
func (n *Node) Aggregate(iface string) error {
	gro := func(feature string) bool { return feature == "rx-gro" }
	if err := n.Do(func() error { return setFeatures(iface, true, gro) }); err != nil {
		return fmt.Errorf("turn GRO of %s of %s on: %w", iface, n.Name, err)
	}
	return nil
}

// setFeatures turns features of an interface on or off.
func setFeatures(iface string, on bool, which func(feature string) bool) error {
	names, err := featureNames(iface)
	if err != nil {
		return err
	}
	// struct ethtool_sfeatures: command, number of blocks, and per 32 features
	// a word of those to change and a word of their values.
	blocks := (len(names) + 31) / 32
	request := make([]byte, 8+8*blocks)
	binary.NativeEndian.PutUint32(request[0:], unix.ETHTOOL_SFEATURES)
	binary.NativeEndian.PutUint32(request[4:], uint32(blocks))
	for i, name := range names {
		if !which(name) {
			continue
		}
		word := request[8+8*(i/32):]
		binary.NativeEndian.PutUint32(word, binary.NativeEndian.Uint32(word)|1<<(i%32))
		if on {
			binary.NativeEndian.PutUint32(word[4:], binary.NativeEndian.Uint32(word[4:])|1<<(i%32))
		}
	}
	return ethtool(iface, request)
}

// bundles tells whether a feature lets one buffer stand for several packets.
func bundles(feature string) bool {
	return strings.HasSuffix(feature, "-segmentation") || strings.Contains(feature, "-gro") ||
		feature == "rx-lro"
}

// featureNames lists the kernel's feature names by bit number.
func featureNames(iface string) ([]string, error) {
	// struct ethtool_sset_info: command, reserved, 64-bit mask, one count.
	count := make([]byte, 20)
	binary.NativeEndian.PutUint32(count, unix.ETHTOOL_GSSET_INFO)
	binary.NativeEndian.PutUint64(count[8:], 1<<featureStrings)
	if err := ethtool(iface, count); err != nil {
		return nil, err
	}
	n := int(binary.NativeEndian.Uint32(count[16:]))
	// struct ethtool_gstrings: command, string set, length, the strings.
	list := make([]byte, 12+n*stringLength)
	binary.NativeEndian.PutUint32(list[0:], unix.ETHTOOL_GSTRINGS)
	binary.NativeEndian.PutUint32(list[4:], featureStrings)
	binary.NativeEndian.PutUint32(list[8:], uint32(n))
	if err := ethtool(iface, list); err != nil {
		return nil, err
	}
	names := make([]string, n)
	for i := range names {
		name, _, _ := bytes.Cut(list[12+i*stringLength:][:stringLength], []byte{0})
		names[i] = string(name)
	}
	return names, nil
}

// ethtool performs one SIOCETHTOOL in the calling thread's namespace; the kernel
// answers in place.
func ethtool(iface string, request []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// struct ifreq is 40 bytes on every 64-bit machine, a pointer after the name.
	var ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}
	copy(ifreq.name[:unix.IFNAMSIZ-1], iface)
	ifreq.data = unsafe.Pointer(&request[0])
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifreq)))
	if errno != 0 {
		return errno
	}
	return nil
}
