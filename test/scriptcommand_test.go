// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"waymark/internal/lab"
)

// script is what one script has: the binary, and its laboratory, if it made
// one.
type script struct {
	waymark string
	work    string
	t       testingT
	lab     *lab.Lab
	before  string // the laboratory's state when it was made
}

type scriptKey struct{}

// testingT is what testscript's T is under go test.
type testingT interface {
	Errorf(format string, args ...any)
	Failed() bool
}

// nobody is a user who may do nothing.
const nobody = 65534

var scriptCommands map[string]func(*testscript.TestScript, bool, []string)

func init() {
	scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
		"waymark": command((*script).run),      // [!] waymark ARGUMENT...: in the laboratory's host, if there is one
		"asuser":  command((*script).asUser),   // [!] asuser waymark ARGUMENT...: as a user without rights
		"exits":   exits,                       // exits CODE waymark ARGUMENT..., or exits CODE asuser waymark ARGUMENT...
		"lab":     command((*script).makeLab),  // lab [lan] [uplinks=N]: from here on, and until the script's end
		"host":    command((*script).host),     // [!] host COMMAND ARGUMENT...: in the laboratory's host
		"cgroup":  command((*script).cgroup),   // cgroup NAME: make it in the laboratory
		"link":    command((*script).link),     // link NUMBER up|down|plug|unplug: an uplink's interface, or its cable
		"process": command((*script).process),  // process [cgroup=NAME] [uid=N]: one that sleeps; sets $PID
		"send":    command((*script).send),     // send KIND ADDRESS:PORT [cgroup=NAME] [uid=N] [count=N]: prints the address it came from
		"normal":  command((*script).normal),   // normal FILE: prints it without what differs from run to run
		"waiting": command((*script).waiting),  // waiting TEXT gone waymark ARGUMENT...: until what it prints lacks a text
		"shape":   command((*script).shape),    // shape FILE: prints the keys and types of a JSON file
		"replace": command((*script).replaced), // replace OLD NEW FILE: in the file
	}
}

// status is the exit code of a command that ran and failed.
type status int

func (s status) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

// command makes a script's command of a method. Its error is a failure to do
// what was asked, unless the command is negated and the error a status.
func command(method func(*script, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		err := method(ts.Value(scriptKey{}).(*script), ts, args)
		var failed status
		switch {
		case neg && errors.As(err, &failed):
		case neg && err == nil:
			ts.Fatalf("it did not fail")
		case err != nil:
			ts.Fatalf("%v", err)
		}
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "waymark" && args[1] != "asuser" {
		ts.Fatalf("usage: exits CODE [asuser] waymark ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	s, method := ts.Value(scriptKey{}).(*script), (*script).run
	if args[1] == "asuser" {
		method = (*script).asUser
	}
	got := status(0)
	if err := method(s, ts, args[2:]); err != nil && !errors.As(err, &got) {
		ts.Fatalf("%v", err)
	}
	if got != status(want) {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func (s *script) run(ts *testscript.TestScript, args []string) error {
	return s.start(ts, 0, s.waymark, args...)
}

func (s *script) asUser(ts *testscript.TestScript, args []string) error {
	if len(args) == 0 || args[0] != "waymark" {
		return errors.New("usage: asuser waymark ARGUMENT...")
	}
	return s.start(ts, nobody, s.waymark, args[1:]...)
}

func (s *script) host(ts *testscript.TestScript, args []string) error {
	if s.lab == nil || len(args) == 0 {
		return errors.New("usage: host COMMAND ARGUMENT..., after lab")
	}
	return s.start(ts, 0, args[0], args[1:]...)
}

// start runs a program to its end, in the laboratory's host if there is one.
func (s *script) start(ts *testscript.TestScript, uid uint32, program string, args ...string) error {
	c, run := exec.Command(program, args...), (*exec.Cmd).Run
	if uid != 0 && os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	if s.lab != nil {
		inside := s.lab.Host.Command(program, args...)
		if uid != 0 {
			inside.As(uid, uid)
		}
		c, run = inside.Cmd, func(*exec.Cmd) error { return inside.Run() }
	}
	var stderr bytes.Buffer // what Run's error would say otherwise
	c.Dir, c.Env = ts.MkAbs("."), []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "TMPDIR=" + s.work, "STATE_DIRECTORY=" + ts.Getenv("STATE_DIRECTORY")}
	c.Stdout, c.Stderr = ts.Stdout(), &stderr
	err := run(c)
	if _, err := ts.Stderr().Write(stderr.Bytes()); err != nil {
		return err
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return status(exit.ExitCode())
	}
	return err
}

// makeLab makes the script's laboratory, and takes it away at the script's
// end, when it must be as it was made and nothing be pinned for it.
func (s *script) makeLab(ts *testscript.TestScript, args []string) (err error) {
	var o lab.Options
	for _, a := range args {
		if a == "lan" {
			o.LAN, o.Forward = true, true
		} else if _, err := fmt.Sscanf(a, "uplinks=%d", &o.Uplinks); err != nil {
			return fmt.Errorf("lab %s: unknown option", a)
		}
	}
	if s.lab, err = lab.New(o); err != nil {
		return err
	}
	ts.Defer(func() {
		if err := s.lab.Close(); err != nil {
			s.t.Errorf("%v", err)
		}
	})
	if s.before, err = s.lab.State(); err != nil {
		return err
	}
	ts.Defer(func() { s.checkLeft() })
	if _, err := s.lab.Far.Serve(7); err != nil {
		return err
	}
	ts.Setenv("CGROUP_ROOT", s.lab.CgroupRoot())
	ts.Setenv("PINS", s.pins())
	ts.Setenv("WAYMARK", s.waymark)
	return nil
}

// pins is the directory of what is pinned for the laboratory's host.
func (s *script) pins() string {
	return filepath.Join("/sys/fs/bpf/waymark", strconv.FormatUint(s.lab.Host.Inode(), 10))
}

// checkLeft fails a script that leaves anything in its laboratory, and takes
// away what would outlive it.
func (s *script) checkLeft() {
	after, err := s.lab.State()
	pins, _ := filepath.Glob(s.pins() + "*")
	if pins != nil {
		_, _ = s.lab.Host.Command(s.waymark, "down").CombinedOutput()
	}
	if s.t.Failed() {
		return // on its way
	}
	if err != nil {
		s.t.Errorf("%v", err)
	}
	if after != s.before {
		s.t.Errorf("the script left something in its laboratory:\n%s", lines(s.before, after))
	}
	if pins != nil {
		s.t.Errorf("the script left pins: %v", pins)
	}
}

func (s *script) cgroup(ts *testscript.TestScript, args []string) error {
	if s.lab == nil || len(args) != 1 {
		return errors.New("usage: cgroup NAME, after lab")
	}
	_, err := s.lab.Cgroup(args[0])
	return err
}

func (s *script) link(ts *testscript.TestScript, args []string) error {
	number := 0
	if s.lab == nil || len(args) != 2 {
		return errors.New("usage: link NUMBER up|down|plug|unplug, after lab")
	}
	if _, err := fmt.Sscan(args[0], &number); err != nil {
		return err
	}
	name := s.lab.Uplink(number).Interface
	switch args[1] {
	case "up":
		return errors.Join(s.lab.Host.SetLink(name, true), s.lab.Host.Restore(name))
	case "down":
		return s.lab.Host.SetLink(name, false)
	case "plug":
		return s.lab.Plug(number)
	case "unplug":
		return s.lab.Unplug(number)
	}
	return fmt.Errorf("link %s: unknown", args[1])
}

func (s *script) process(ts *testscript.TestScript, args []string) error {
	job := lab.Job{}
	if err := options(&job, args); err != nil || s.lab == nil {
		return errors.Join(err, errors.New("usage: process [cgroup=NAME] [uid=N], after lab"))
	}
	c := s.lab.Host.Command("sleep", "1000").In(job.Cgroup).As(job.UID, job.GID)
	if err := c.Start(); err != nil {
		return err
	}
	ts.Setenv("PID", strconv.Itoa(c.Process.Pid))
	return nil
}

// send runs one client that waits for its answers. What it prints is the
// address the far server saw, or the call that failed.
func (s *script) send(ts *testscript.TestScript, args []string) error {
	if s.lab == nil || len(args) < 2 {
		return errors.New("usage: send KIND ADDRESS:PORT [cgroup=NAME] [uid=N] [count=N], after lab")
	}
	to, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return err
	}
	job := lab.Job{Kind: lab.Kind(args[0]), To: []netip.AddrPort{to}, Count: 1, Size: 100}
	if err := options(&job, args[2:]); err != nil {
		return err
	}
	r, err := s.lab.Host.Run(job)
	if err != nil {
		return err
	}
	answers := map[string]bool{}
	for _, reply := range r.Replies {
		if seen, err := netip.ParseAddrPort(reply); err == nil {
			reply = seen.Addr().String()
		}
		answers[reply] = true
	}
	if r.Err() != nil {
		answers[r.Err().Error()] = true
	}
	_, err = fmt.Fprintln(ts.Stdout(), strings.Join(slices.Sorted(maps.Keys(answers)), "\n"))
	return err
}

// options reads what a client, or a process, is to be.
func options(job *lab.Job, args []string) (err error) {
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "cgroup":
			job.Cgroup = value
		case "uid":
			_, err = fmt.Sscan(value, &job.UID)
			job.GID = job.UID
		case "count":
			_, err = fmt.Sscan(value, &job.Count)
		default:
			err = errors.New("unknown option")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
	}
	return nil
}

// waiting runs the command until its output lacks a text.
func (s *script) waiting(ts *testscript.TestScript, args []string) error {
	if len(args) < 3 || args[1] != "gone" || args[2] != "waymark" {
		return errors.New("usage: waiting TEXT gone waymark ARGUMENT...")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c := s.lab.Host.Command(s.waymark, args[3:]...)
		out, err := c.Output()
		if err != nil || !strings.Contains(out, args[0]) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%q is still there after a minute", args[0])
		}
	}
}
