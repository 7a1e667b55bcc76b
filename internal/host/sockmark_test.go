// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// marked opens a socket with a mark.
func marked(t *testing.T, family, kind, protocol int, mark uint32) int {
	t.Helper()
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Skipf("needs protocol %d: %v", protocol, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
		t.Fatal(err)
	}
	return fd
}

func bound(t *testing.T, fd int, port int) {
	t.Helper()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSocketMarksOfEveryKind(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	listener := marked(t, unix.AF_INET, unix.SOCK_STREAM, 0, 0x81000001)
	bound(t, listener, 8000)
	must(t, unix.Listen(listener, 8))

	client := marked(t, unix.AF_INET, unix.SOCK_STREAM, 0, 0x82000002)
	must(t, unix.Connect(client, &unix.SockaddrInet4{Port: 8000, Addr: [4]byte{127, 0, 0, 1}}))

	bound(t, marked(t, unix.AF_INET, unix.SOCK_DGRAM, 0, 0x83000003), 8000)
	six := marked(t, unix.AF_INET6, unix.SOCK_DGRAM, 0, 0x84000004)
	must(t, unix.Bind(six, &unix.SockaddrInet6{Port: 8001}))

	got, err := SocketMarks()
	must(t, err)
	want := []uint32{0x81000001, 0x82000002, 0x83000003, 0x84000004}
	for _, mark := range want {
		if !got[mark] {
			t.Errorf("mark %#x is missing from %#x", mark, slices.Sorted(maps.Keys(got)))
		}
	}
	delete(got, 0) // the accepted socket
	if len(got) != len(want) {
		t.Errorf("marks %#x, want %#x", slices.Sorted(maps.Keys(got)), want)
	}
}

// A connection that its process has closed is nobody's, though the kernel
// answers for it for a minute, by its mark.
func TestMarkHoldersLeaveOutTheClosed(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	listener := marked(t, unix.AF_INET, unix.SOCK_STREAM, 0, 0x81000001)
	bound(t, listener, 8000)
	must(t, unix.Listen(listener, 8))
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	must(t, unix.SetsockoptInt(client, unix.SOL_SOCKET, unix.SO_MARK, 0x2000002))
	must(t, unix.Connect(client, &unix.SockaddrInet4{Port: 8000, Addr: [4]byte{127, 0, 0, 1}}))
	accepted, _, err := unix.Accept(listener)
	must(t, err)
	must(t, unix.Close(client))
	must(t, unix.Close(accepted))

	marks, err := SocketMarks()
	must(t, err)
	holders, err := MarkHolders()
	must(t, err)
	_, held := holders[0x2000002]
	if !marks[0x2000002] || held || len(holders[0x81000001]) != 1 {
		t.Errorf("marks %#x, held by %v", slices.Sorted(maps.Keys(marks)), holders)
	}
}

func TestSocketMarksOfMPTCP(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	fd := marked(t, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, 0x85000005)
	bound(t, fd, 8000)
	must(t, unix.Listen(fd, 8))
	if got, err := SocketMarks(); err != nil || !got[0x85000005] {
		t.Errorf("marks %#x: %v", slices.Sorted(maps.Keys(got)), err)
	}
}

func TestDecodeMark(t *testing.T) {
	socket := make([]byte, diagAnswer)
	mark, _ := hex.DecodeString("0500080000000000" + "08000f0003000083")
	if got, err := decodeMark(append(socket, mark...)); err != nil || got != 0x83000003 {
		t.Errorf("mark %#x: %v", got, err)
	}
	if _, err := decodeMark(socket); !errors.Is(err, unix.EPERM) {
		t.Errorf("a socket without a mark: %v, want EPERM", err)
	}
	socket[1] = timeWait
	if got, err := decodeMark(socket); err != nil || got != 0 {
		t.Errorf("a closed connection without a mark: %#x, %v", got, err)
	}
	if _, err := decodeMark(socket[1:]); err == nil {
		t.Error("a cut answer was decoded")
	}
}

func FuzzDecodeMark(f *testing.F) {
	mark, _ := hex.DecodeString("0500080000000000" + "08000f0003000083")
	f.Add(append(make([]byte, diagAnswer), mark...))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if mark, err := decodeMark(msg); err != nil && mark != 0 {
			t.Errorf("mark %#x and an error", mark)
		}
	})
}
