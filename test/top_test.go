// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
	"waymark/internal/top"
)

// terminal is one that a command of the host's runs in.
type terminal struct {
	*lab.Cmd
	keys *os.File // what is typed, and what the command draws
	line *os.File // the command's end of it

	mu   sync.Mutex
	seen bytes.Buffer
}

// inTerminal starts the command in a terminal of 80x24.
func (s *site) inTerminal(t *testing.T, environment []string, args ...string) *terminal {
	t.Helper()
	x := &terminal{Cmd: s.Host.Command(binary(t), args...)}
	var err error
	if x.keys, x.line, err = pty.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.keys.Close(); x.line.Close() })
	x.resize(t, 80, 24)
	x.Stdin, x.Stdout, x.Stderr = x.line, x.line, x.line
	x.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8"}, environment...)
	x.SysProcAttr.Setsid, x.SysProcAttr.Setctty = true, true
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := x.keys.Read(buffer)
			x.mu.Lock()
			x.seen.Write(buffer[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return x
}

func (x *terminal) resize(t *testing.T, columns, rows uint16) {
	t.Helper()
	if err := pty.Setsize(x.keys, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

func (x *terminal) drawn() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// types types keys; draws waits until words are drawn after that.
func (x *terminal) types(t *testing.T, keys string, draws ...string) {
	t.Helper()
	x.mu.Lock()
	x.seen.Reset()
	x.mu.Unlock()
	if _, err := x.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
	x.draws(t, draws...)
}

func (x *terminal) draws(t *testing.T, words ...string) {
	t.Helper()
	soon(t, fmt.Sprintf("%q is drawn", words), func() error {
		text := ansi.Strip(x.drawn())
		for _, w := range words {
			if !strings.Contains(text, w) {
				return fmt.Errorf("no %q in %q", w, text)
			}
		}
		return nil
	})
}

// ends checks that it ends well, and leaves the terminal as it was.
func (x *terminal) ends(t *testing.T, before *unix.Termios) {
	t.Helper()
	if err := x.Wait(); err != nil {
		t.Errorf("it ends with %v: %q", err, x.drawn())
	}
	after, err := unix.IoctlGetTermios(int(x.line.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal is left as %+v, and was %+v", after, before)
	}
	soon(t, "the screen and the cursor are back", func() error {
		text := x.drawn()
		if !strings.Contains(text, ansi.ResetModeAltScreenSaveCursor) || strings.LastIndex(text, "\x1b[?25h") < strings.LastIndex(text, "\x1b[?25l") {
			return fmt.Errorf("not in %q", text)
		}
		return nil
	})
}

const topPolicy = twoUplinks + `
classes:
  - {name: bulk, route: [b], match: [{cgroup: bulk.slice}]}
  - {name: exec, route: [a], match: [{cgroup: exec.slice}]}
`

// TestTopInATerminal shows, resizes, moves a class and quits, in a terminal.
func TestTopInATerminal(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "bulk.slice", "exec.slice")
	s.apply(t, topPolicy)
	fresh := freshTermios(t)
	x := s.inTerminal(t, nil, "top", "-d", "100ms")
	x.draws(t, "waymark", "CLASS", "bulk", "exec", "unclassed", "MISRT")
	x.resize(t, 200, 50)
	x.types(t, "", "CONNS", "PACKETS")
	x.resize(t, 40, 10)
	x.types(t, "", "MISRT")
	x.resize(t, 80, 24)
	x.types(t, "\t", "[2", "by", "uplink]")
	x.types(t, "4", "HITS/S", "bulk.slice")
	x.types(t, "1", "RTT50")

	x.types(t, "m", "class:bulk")
	x.types(t, "\r", "which", "exec")
	x.types(t, "\r", "exec?", "changed")
	x.types(t, "y", "moved")
	if text := s.ok(t, "status"); !strings.Contains(text, "move class:bulk to exec, by ") {
		t.Errorf("status knows of no move:\n%s", text)
	}
	x.types(t, "q")
	x.ends(t, fresh)
	s.ok(t, "move", "--undo", "bulk")
}

// freshTermios are the settings that a terminal has when it is made.
func freshTermios(t *testing.T) *unix.Termios {
	t.Helper()
	keys, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	defer line.Close()
	return must[*unix.Termios](t)(unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS))
}

// TestTopEnds gives the terminal back however it is asked to end, with and
// without colours.
func TestTopEnds(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, topPolicy)
	fresh := freshTermios(t)
	for name, end := range map[string]func(x *terminal) error{
		"Ctrl-C":  func(x *terminal) error { _, err := x.keys.WriteString("\x03"); return err },
		"SIGTERM": func(x *terminal) error { return x.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(x *terminal) error { return x.Process.Signal(syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			x := s.inTerminal(t, []string{"NO_COLOR=1"}, "top", "-d", "100ms")
			x.draws(t, "unclassed")
			if strings.Contains(x.drawn(), "\x1b[31") || strings.Contains(x.drawn(), ";31m") {
				t.Error("it draws colours")
			}
			if err := end(x); err != nil {
				t.Fatal(err)
			}
			x.ends(t, fresh)
		})
	}
	t.Run("dumb", func(t *testing.T) {
		x := s.inTerminal(t, []string{"TERM=dumb"}, "top", "-d", "100ms")
		if err := x.Wait(); err != nil {
			t.Error(err)
		}
		x.draws(t, "unclassed")
		if strings.Contains(x.drawn(), "\x1b") {
			t.Errorf("it draws on a dumb terminal: %q", x.drawn())
		}
	})
}

// TestTopCounts compares a frame with what was sent.
func TestTopCounts(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.cgroups(t, "bulk.slice")
	s.apply(t, topPolicy)
	job := in("bulk.slice", v4.job(lab.UDP, 1))
	job.Count = 30
	must[lab.Result](t)(s.Host.Run(job))
	frame := s.topFrame(t)
	for _, c := range frame.Classes {
		want := uint64(0)
		if c.Name == "bulk" {
			want = 30
		}
		if c.Name != "unclassed" && c.Packets != want {
			t.Errorf("class %s sent %d packets, want %d", c.Name, c.Packets, want)
		}
	}
	if frame.Seconds <= 0 || len(frame.Uplinks) != 2 || frame.Uplinks[1].Packets != 30 || frame.Uplinks[1].BitsPerSecond != 0 {
		t.Errorf("uplinks %+v, over %v s", frame.Uplinks, frame.Seconds)
	}

	// What is sent between its two readings is a rate.
	over := make(chan struct{})
	go func() {
		defer close(over)
		frame = decodeFrame(t, s.ok(t, "top", "--once", "-o", "json", "-d", "2s"))
	}()
	for sending := true; sending; {
		must[lab.Result](t)(s.Host.Run(job))
		select {
		case <-over:
			sending = false
		default:
		}
	}
	if c := frame.Classes[0]; c.PacketsPerSecond <= 0 || c.BitsPerSecond <= 8*c.PacketsPerSecond {
		t.Errorf("class %s sends %v packets and %v bits a second", c.Name, c.PacketsPerSecond, c.BitsPerSecond)
	}
}

func (s *site) topFrame(t *testing.T) *top.Frame {
	t.Helper()
	return decodeFrame(t, s.ok(t, "top", "--once", "-o", "json", "-d", "100ms"))
}

func decodeFrame(t *testing.T, text string) *top.Frame {
	t.Helper()
	var value struct{ Item *top.Frame }
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value.Item
}
