// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/host"
)

// TestDemoInterrupted presses Ctrl-C at several moments of the
// demonstration: nothing of it is left, and the machine is as it was.
func TestDemoInterrupted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the demonstration makes network namespaces and cgroups")
	}
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond, 400 * time.Millisecond} {
		t.Run(fmt.Sprint(after, " after its first word"), func(t *testing.T) {
			before := machine(t)
			d := startDemo(t)
			labs := d.labs(t)
			if len(labs) != 1 {
				t.Errorf("it has laboratories %q, want one", labs)
			}
			time.Sleep(after)
			if err := syscall.Kill(-d.Process.Pid, syscall.SIGINT); err != nil {
				t.Error(err)
			}
			var exit *exec.ExitError
			if err := d.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("%v, want exit code 1; it said:\n%s", err, d.stderr)
			}
			d.leftNothing(t, labs, before)
		})
	}
}

// TestDemoServes asks the page of a demonstration that goes on, from the
// machine's own network, and presses Ctrl-C, which is how it ends.
func TestDemoServes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the demonstration makes network namespaces and cgroups")
	}
	before := machine(t)
	d := startDemo(t, "--listen", "127.0.0.1:0")
	labs := d.labs(t)
	lines := bufio.NewScanner(d.stdout)
	says := func(what *regexp.Regexp) string {
		for lines.Scan() {
			if found := what.FindString(lines.Text()); found != "" {
				return found
			}
		}
		t.Fatalf("it does not say %s: %s", what, d.stderr)
		return ""
	}
	page := says(regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/$`))
	soon(t, "the agent is there", func() error {
		_, err := fetch(http.DefaultClient, page+"-/ready")
		return err
	})
	if text := must[[]byte](t)(fetch(http.DefaultClient, page)); !bytes.Contains(text, []byte("<h1")) {
		t.Errorf("its page is %s", text)
	}
	says(regexp.MustCompile("^the clients send on"))
	sent := func() (n float64) {
		text := must[[]byte](t)(fetch(http.DefaultClient, page+"metrics"))
		line := regexp.MustCompile(`waymark_class_transmit_packets_total{class="backup",uplink="b",family="ipv4"} (.+)`).FindSubmatch(text)
		if line == nil {
			t.Fatalf("no packets of backup's are counted:\n%s", text)
		}
		return must[float64](t)(strconv.ParseFloat(string(line[1]), 64))
	}
	first := sent()
	soon(t, "the clients send on", func() error {
		if now := sent(); now <= first {
			return fmt.Errorf("%v packets, and %v before", now, first)
		}
		return nil
	})
	if err := syscall.Kill(-d.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := d.Wait(); err != nil {
		t.Errorf("it ends with %v: %s", err, d.stderr)
	}
	d.leftNothing(t, labs, before)
}

// leftNothing checks that a demonstration that has ended left nothing.
func (d demo) leftNothing(t *testing.T, labs, before []string) {
	t.Helper()
	for _, dir := range labs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want that it is gone", dir, err)
		}
	}
	if syscall.Kill(-d.Process.Pid, 0) == nil {
		t.Error("some process of it lives on")
	}
	if diff := cmp.Diff(before, machine(t)); diff != "" {
		t.Errorf("the machine has changed (-before +after):\n%s", diff)
	}
}

// ownPins runs the demonstration with a BPF file system of its own, and fails
// in another way if anything of ours is in it at the end. The trap is for the
// signal that all of them get.
const ownPins = `
trap : INT
mount -t bpf none /sys/fs/bpf || exit 100
binary=$1
shift
"$binary" demo "$@"
code=$?
test ! -e /sys/fs/bpf/waymark || exit 101
exit $code
`

// demo is a running demonstration, in a process group of its own.
type demo struct {
	*exec.Cmd
	stdout *os.File
	stderr *bytes.Buffer
}

// startDemo starts one and waits for its first word: by then its laboratory
// stands.
func startDemo(t *testing.T, args ...string) demo {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d := demo{exec.Command("unshare", append([]string{"--mount", "sh", "-c", ownPins, "sh", binary(t)}, args...)...), read, &bytes.Buffer{}}
	d.Stderr, d.SysProcAttr = d.stderr, &syscall.SysProcAttr{Setpgid: true}
	t.Cleanup(func() { read.Close() })
	d.Stdout = write
	err = d.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read.Read(make([]byte, 1)); err != nil {
		t.Errorf("it says nothing: %v", err)
	}
	return d
}

// labs are the cgroups of the demonstration's laboratories. Each bears the id
// of its maker.
func (d demo) labs(t *testing.T) (dirs []string) {
	t.Helper()
	root, err := host.CgroupRoot()
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(root, "waymark-lab-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		maker, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "waymark-lab-"), "-")
		pid, err := strconv.Atoi(maker)
		if err != nil {
			continue
		}
		if group, err := syscall.Getpgid(pid); err == nil && group == d.Process.Pid {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// machine is what the machine itself has in the tables that a demonstration
// must not touch.
func machine(t *testing.T) (state []string) {
	t.Helper()
	for _, family := range []string{"-4", "-6"} {
		for _, what := range [][]string{{"rule"}, {"route", "show", "table", "all"}} {
			out, err := exec.Command("ip", append([]string{family}, what...)...).Output()
			if err != nil {
				t.Fatal(err)
			}
			state = append(state, string(out))
		}
	}
	return state
}
