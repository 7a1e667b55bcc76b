// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// victimName is the argument zero of a process that builds a lab to be killed in.
const victimName = "waymark-lab-victim"

func TestMain(m *testing.M) {
	if ClientMain() {
		return
	}
	if os.Args[0] == victimName {
		beVictim()
		return
	}
	os.Exit(m.Run())
}

// newLab is a lab that ends with the test.
func newLab(t *testing.T, options Options) *Lab {
	t.Helper()
	needRoot(t)
	l, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, l.Close()) })
	return l
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: a lab makes network namespaces and cgroups")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// must is for errors after which the test has nothing to test.
func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func held(t *testing.T) []string {
	t.Helper()
	return must[[]string](t)(Held())
}

func TestNewRefusesBadOptions(t *testing.T) {
	needRoot(t)
	before := held(t)
	for _, n := range []int{-1, 27} {
		if l, err := New(Options{Uplinks: n}); err == nil {
			l.Close()
			t.Errorf("New made a lab with %d uplinks", n)
		}
	}
	if diff := cmp.Diff(before, held(t)); diff != "" {
		t.Errorf("a refused New left something (-before +after):\n%s", diff)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	needRoot(t)
	before := held(t)
	l := must[*Lab](t)(New(Options{LAN: true, Container: true, Forward: true}))
	must[*Server](t)(l.Far.Serve(7))
	must[*Capture](t)(l.Routers[0].Capture("down"))
	client := must[*Client](t)(l.Host.Open(Job{Kind: TCP, To: to4(1, 7), Cgroup: "a.slice/deep/er"}))
	check(t, client.Opened.Err())
	// A grandchild that keeps the pipe open, in another session.
	sleeper := l.LAN.Command("sh", "-c", "setsid sleep 1000 & sleep 1000").In("b.slice")
	sleeper.Stdout = &strings.Builder{}
	check(t, sleeper.Start())
	if diff := cmp.Diff(before, held(t)); diff == "" {
		t.Fatal("Held does not see a running lab")
	}
	check(t, l.Close())
	check(t, l.Close())
	if diff := cmp.Diff(before, held(t)); diff != "" {
		t.Errorf("Close left something (-before +after):\n%s", diff)
	}
	if err := l.Host.Command("true").Run(); err == nil {
		t.Error("a closed lab ran a command")
	}
	if _, err := l.Far.Serve(7); err == nil {
		t.Error("a closed lab has a server")
	}
	if _, err := l.Far.Capture("lo"); err == nil {
		t.Error("a closed lab captures")
	}
	if diff := cmp.Diff(before, held(t)); diff != "" {
		t.Errorf("use after Close left something (-before +after):\n%s", diff)
	}
	if err := unix.Kill(client.PID(), 0); err != unix.ESRCH {
		t.Errorf("client after Close: %v, want ESRCH", err)
	}
}

func TestTwoLabsAtOnce(t *testing.T) {
	labs := []*Lab{newLab(t, Options{}), newLab(t, Options{})}
	for i, l := range labs {
		must[*Server](t)(l.Far.Serve(7))
		wire := must[*Capture](t)(labs[1-i].Routers[0].Capture("down"))
		r := must[Result](t)(l.Host.Run(Job{Kind: UDP, To: to4(1, 7), Count: 3}))
		check(t, r.Err())
		if packets := must[[]Packet](t)(wire.Packets()); len(packets) > 0 {
			t.Errorf("lab %d's traffic is in the other lab: %v", i, packets)
		}
	}
	if labs[0].CgroupRoot() == labs[1].CgroupRoot() || labs[0].Host.Inode() == labs[1].Host.Inode() {
		t.Error("two labs share a cgroup or a namespace")
	}
}

// beVictim holds a lab with a process in it until it is killed.
func beVictim() {
	l, err := New(Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sleeper := l.Host.Command("sleep", "1000")
	if err := sleeper.Start(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.CgroupRoot(), sleeper.Process.Pid, l.Host.Inode())
	select {}
}

func TestKilledLabLeavesNothing(t *testing.T) {
	needRoot(t)
	victim := exec.Command("/proc/self/exe")
	victim.Args[0] = victimName
	out := must[interface{ Read([]byte) (int, error) }](t)(victim.StdoutPipe())
	check(t, victim.Start())
	line := must[string](t)(bufio.NewReader(out).ReadString('\n'))
	var root string
	var pid, inode int
	must[int](t)(fmt.Sscan(line, &root, &pid, &inode))
	check(t, victim.Process.Kill())
	_ = victim.Wait()

	eventually(t, "its process is gone", func() bool { return unix.Kill(pid, 0) == unix.ESRCH })
	eventually(t, "nobody holds its namespace", func() bool { return !anyHolds(inode) })
	newLab(t, Options{})
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("the next lab left %s: %v", root, err)
	}
}

// anyHolds tells whether any process is in a network namespace or has it open.
func anyHolds(inode int) bool {
	for _, pattern := range []string{"/proc/[0-9]*/task/*/ns/net", "/proc/[0-9]*/fd/*"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if target, _ := os.Readlink(path); target == fmt.Sprintf("net:[%d]", inode) {
				return true
			}
		}
	}
	return false
}

// eventually waits for something that the kernel does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("not so: %s", what)
}
