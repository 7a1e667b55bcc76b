// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNamespaceNumbersAreTheThreads(t *testing.T) {
	type numbers struct{ inode, cookie uint64 }
	read := func() numbers {
		inode, err := NetnsInode()
		if err != nil {
			t.Fatal(err)
		}
		cookie, err := NetnsCookie()
		if errors.Is(err, unix.ENOPROTOOPT) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return numbers{inode, cookie}
	}
	machine := read()
	namespace(t, unix.CLONE_NEWNET)
	own := read()
	if own.inode == machine.inode || own.cookie == machine.cookie || own != read() {
		t.Errorf("here %+v, before %+v", own, machine)
	}
}

func TestSysctlsAreTheThreads(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	addVeth(t, "eth0.100")
	const name = "net/ipv4/conf/eth0.100/rp_filter"
	for _, value := range []string{"2", "0"} {
		if err := SetSysctl(name, value); err != nil {
			t.Fatal(err)
		}
		got, err := Sysctls([]string{name, "net/ipv4/conf/gone0/rp_filter"})
		if want := map[string]string{name: value}; err != nil || !maps.Equal(got, want) {
			t.Errorf("read %v, want %v: %v", got, want, err)
		}
	}
}

func TestSysctlErrors(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	if err := SetSysctl("net/ipv4/conf/gone0/rp_filter", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a sysctl that does not exist: %v, want fs.ErrNotExist", err)
	}
	if err := SetSysctl("net/ipv4/conf/lo/rp_filter", "much"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a value that is no number: %v, want EINVAL", err)
	}
	for _, name := range []string{"../../etc/hostname", "/net/ipv4/ip_forward", "", "net//ipv4/ip_forward"} {
		if values, err := Sysctls([]string{name}); err == nil {
			t.Errorf("read %q: %v", name, values)
		}
		if err := SetSysctl(name, "0"); err == nil {
			t.Errorf("set %q", name)
		}
	}
}

func TestUsers(t *testing.T) {
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Skip(err)
	}
	got := Users([]string{"root", "no-such-user-here"})
	if want := map[string]uint32{"root": 0}; !maps.Equal(got, want) {
		t.Errorf("users %v, want %v", got, want)
	}
}
