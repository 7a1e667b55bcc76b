// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// threadNamespace is the network namespace of the calling thread.
func threadNamespace() string {
	link, err := os.Readlink(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return err.Error()
	}
	return link
}

func TestDoRunsInsideAndLeavesNoThreadThere(t *testing.T) {
	l := newLab(t, Options{Uplinks: 1})
	want := fmt.Sprintf("net:[%d]", l.Host.Inode())
	cause := errors.New("cause")
	var inside, nested string
	err := l.Host.Do(func() error {
		inside = threadNamespace()
		_ = l.Far.Do(func() error { nested = threadNamespace(); return nil })
		return cause
	})
	if !errors.Is(err, cause) {
		t.Errorf("Do returned %v, want the function's error", err)
	}
	if inside != want || nested != fmt.Sprintf("net:[%d]", l.Far.Inode()) {
		t.Errorf("Do ran in %s and, nested, in %s; host is %s", inside, nested, want)
	}
	if err := l.Host.Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("Do returned nil for a function that never returned")
	}
	home := threadNamespace()
	threads := must[[]string](t)(filepath.Glob("/proc/self/task/*/ns/net"))
	for _, path := range threads {
		if ns, err := os.Readlink(path); err == nil && ns != home {
			t.Errorf("%s is still %s, not %s", path, ns, home)
		}
	}
}

func TestNetnsPathEntersTheNode(t *testing.T) {
	l := newLab(t, Options{Uplinks: 1})
	out := must[string](t)(l.Far.Command("nsenter", "--net="+l.Host.NetnsPath(), "readlink", "/proc/self/ns/net").Output())
	if want := fmt.Sprintf("net:[%d]\n", l.Host.Inode()); out != want {
		t.Errorf("nsenter came to %s, want %s", out, want)
	}
}

func TestSysctlIsTheNodes(t *testing.T) {
	l := newLab(t, Options{Uplinks: 1})
	for _, name := range []string{"net.ipv4.conf.up-a.rp_filter", "net/ipv4/conf/up-a/rp_filter"} {
		check(t, l.Host.Sysctl(name, "2"))
		if got := must[string](t)(l.Host.ReadSysctl(name)); got != "2" {
			t.Errorf("%s is %q, want 2", name, got)
		}
		check(t, l.Host.Sysctl(name, "0"))
	}
	if _, err := l.Far.ReadSysctl("net.ipv4.conf.up-a.rp_filter"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("far has a sysctl of the host's link: %v", err)
	}
}

func TestCommand(t *testing.T) {
	l := newLab(t, Options{Uplinks: 1})
	out := must[string](t)(l.Host.Command("sh", "-c", "readlink /proc/self/ns/net; tail -n1 /proc/self/cgroup").Output())
	if want := fmt.Sprintf("net:[%d]\n0::/%s\n", l.Host.Inode(), l.CgroupPath("")); out != want {
		t.Errorf("a plain command is in\n%swant\n%s", out, want)
	}
	out = must[string](t)(l.Host.Command("sh", "-c", "id -u; id -G; tail -n1 /proc/self/cgroup").In("a/b").As(7, 8).Output())
	if want := "7\n8\n0::/" + l.CgroupPath("a/b") + "\n"; out != want {
		t.Errorf("a placed command is\n%swant\n%s", out, want)
	}
	err := l.Host.Command("sh", "-c", "echo why >&2; exit 3").Run()
	if err == nil || !strings.Contains(err.Error(), "why") || !strings.Contains(err.Error(), "3") {
		t.Errorf("error is %v, want one with the status and standard error", err)
	}
	if err := l.Host.Command("true").In("../outside").Run(); err == nil {
		t.Error("a command ran in a cgroup outside the lab")
	}
	sleeper := l.Host.Command("sleep", "1000")
	check(t, sleeper.Start())
	check(t, sleeper.Close())
	if err := sleeper.Wait(); err == nil {
		t.Error("a killed command ended well")
	}
}

// TestEndedCommandIsForgotten has a lab whose commands end before it does: it
// holds none of them, and one that still runs until that ends too.
func TestEndedCommandIsForgotten(t *testing.T) {
	l := newLab(t, Options{})
	before := len(l.closers)
	runs := l.Host.Command("sleep", "60")
	check(t, runs.Start())
	check(t, l.Host.Command("true").Run())
	if now := len(l.closers) - before; now != 1 {
		t.Errorf("of one command that runs and one that has ended the lab holds %d", now)
	}
	check(t, runs.Close())
	if now := len(l.closers) - before; now != 0 {
		t.Errorf("of two commands that have ended the lab holds %d", now)
	}
}

func TestCloseSparesItsOwnProcess(t *testing.T) {
	l := newLab(t, Options{Uplinks: 1})
	dir := must[string](t)(l.Cgroup("self.slice"))
	check(t, os.WriteFile(dir+"/cgroup.procs", []byte("0"), 0))
	check(t, l.Close()) // or this is the end
	if text := string(must[[]byte](t)(os.ReadFile("/proc/self/cgroup"))); strings.Contains(text, cgroupPrefix) {
		t.Errorf("still in a cgroup of the lab:\n%s", text)
	}
}
