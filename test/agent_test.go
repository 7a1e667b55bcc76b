// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"waymark/internal/agent"
	"waymark/internal/lab"
)

// An agentRun is one `waymark run` on a site's host.
type agentRun struct {
	*lab.Cmd
	site *site

	mu    sync.Mutex
	log   bytes.Buffer
	lines []string // notices so far
}

// listen takes the notices until the socket is closed.
func (r *agentRun) listen(notices net.PacketConn) {
	buffer := make([]byte, 64<<10)
	for {
		n, _, err := notices.ReadFrom(buffer)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.lines = append(r.lines, strings.Split(string(buffer[:n]), "\n")...)
		r.mu.Unlock()
	}
}

// Write takes a line of its log.
func (r *agentRun) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(line)
}

// logged is its log so far.
func (r *agentRun) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// says waits for a line of its log.
func (r *agentRun) says(t *testing.T, text string) {
	t.Helper()
	r.saysAgain(t, text, 0)
}

// saysAgain waits for one more such line than there were.
func (r *agentRun) saysAgain(t *testing.T, text string, before int) {
	t.Helper()
	soon(t, "the agent says "+text, func() error {
		if log := r.logged(); strings.Count(log, text) <= before {
			return fmt.Errorf("its log is %s", log)
		}
		return nil
	})
}

// agent starts one on a policy, and returns when it is ready. It ends with
// the test, cleanly, and must have been there until then.
func (s *site) agent(t *testing.T, policy string) *agentRun {
	t.Helper()
	s.mark(t)
	return s.agentOn(t, s.write(t, policy)...)
}

func (s *site) agentOn(t *testing.T, args ...string) *agentRun {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "notify")
	r := &agentRun{site: s, Cmd: s.Host.Command(s.command(t), append([]string{"run"}, args...)...)}
	notices := must[net.PacketConn](t)(net.ListenPacket("unixgram", socket))
	go r.listen(notices)
	r.Env = s.environ(r.Cmd.Cmd)
	r.Env = append(r.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=3000000")
	r.Stderr = r
	t.Cleanup(func() { notices.Close() })
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.stop(t) })
	r.notified(t, "READY=1", 0)
	s.seen.add(t, s.pins())
	return r
}

// notified waits for a notice that begins so, after the first ones.
func (r *agentRun) notified(t *testing.T, line string, after int) {
	t.Helper()
	soon(t, "the service manager is told "+line, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, l := range r.lines[after:] {
			if strings.HasPrefix(l, line) {
				return nil
			}
		}
		return fmt.Errorf("it was told %q; the log: %s", r.lines[after:], r.log.String())
	})
}

// stop ends it as a service manager does.
func (r *agentRun) stop(t *testing.T) {
	t.Helper()
	if r.ProcessState != nil {
		return
	}
	_ = r.Process.Signal(syscall.SIGTERM)
	if err := r.Wait(); err != nil {
		t.Errorf("the agent ended with %v:\n%s", err, r.logged())
	}
	if t.Failed() {
		t.Logf("the agent's log:\n%s", r.logged())
	}
}

// kill ends it without a word.
func (r *agentRun) kill(t *testing.T) {
	t.Helper()
	_ = r.Process.Kill()
	_ = r.Wait()
}

// record is what `status` shows of it, also while what is applied is damaged.
func (s *site) record(t *testing.T) *agent.Record {
	t.Helper()
	return must[*agent.Record](t)(agent.Read(s.Host.Inode()))
}

// heals is how often it has put something of a kind back.
func (s *site) heals(t *testing.T, kind string) uint64 {
	t.Helper()
	if r := s.record(t); r != nil {
		return r.Heals[kind]
	}
	t.Error("no agent runs")
	return 0
}

// soon is for what an agent does within a second on a machine that is not
// busy with other things.
func soon(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for err := check(); err != nil; err = check() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not yet: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
