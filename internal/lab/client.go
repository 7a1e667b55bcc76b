// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// clientName is the argument zero by which a program knows that it was started
// as a client. Unlike a variable it does not reach the client's children.
const clientName = "waymark-lab-client"

// clientMainCalled lets Open refuse to start a program that would not know what
// it is wanted for, and do its usual work, which is to call Open, instead.
var clientMainCalled atomic.Bool

// clientProgram is what Open starts: the link, not the path behind it, for a
// test's binary is in a directory that only root may enter.
var clientProgram = "/proc/self/exe"

// ClientsBy has Open start another program in place of this one, which calls
// ClientMain too. Call it before the first Open.
func ClientsBy(path string) { clientProgram = path }

// ClientMain does a client's work if this process was started to be one, and
// then returns true: the caller returns at once. It returns false, having done
// nothing, in any other process. A program that calls Open or Run calls it
// first thing in main or TestMain.
//
// A client writes one Result in JSON for its opening, and one for every line
// "send COUNT SIZE" that it reads. A line "close", or the end of its input,
// ends it.
func ClientMain() bool {
	clientMainCalled.Store(true)
	if len(os.Args) != 2 || os.Args[0] != clientName {
		return false
	}
	var job Job
	out := json.NewEncoder(os.Stdout)
	if err := json.Unmarshal([]byte(os.Args[1]), &job); err != nil {
		_ = out.Encode(Result{PID: os.Getpid(), Call: "job", Errno: err.Error()})
		return true
	}
	serveClient(job, os.Stdin, out)
	return true
}

func serveClient(job Job, in io.Reader, out *json.Encoder) {
	if job.Timeout == 0 {
		job.Timeout = 2 * time.Second
	}
	s := &socket{job: job, fd: -1}
	defer s.close()
	err := out.Encode(s.perform(func(r *Result) error {
		if err := s.open(r); err != nil || job.Count == 0 {
			return err
		}
		return s.send(job.Count, job.Size, r)
	}))
	for lines := bufio.NewScanner(in); err == nil && lines.Scan(); {
		var count, size int
		if lines.Text() == "close" {
			return
		}
		err = out.Encode(s.perform(func(r *Result) error {
			if _, err := fmt.Sscanf(lines.Text(), "send %d %d", &count, &size); err != nil {
				return failed("order", unix.EINVAL)
			}
			return s.send(count, size, r)
		}))
	}
}

// perform runs one step and reports it with the socket's state afterwards.
func (s *socket) perform(step func(*Result) error) Result {
	r := Result{PID: os.Getpid()}
	start := time.Now()
	err := step(&r)
	r.Elapsed = time.Since(start)
	if err != nil {
		r.Call, r.Errno = "client", err.Error()
		if f, ok := err.(*failure); ok {
			r.Call, r.Errno = f.call, errnoName(f.err)
		}
	}
	if s.fd >= 0 {
		r.Local = s.local()
		mark, _ := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_MARK)
		r.Mark = uint32(mark)
		r.Cookie, _ = unix.GetsockoptUint64(s.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	}
	return r
}

// A failure is a system call that failed.
type failure struct {
	call string
	err  error
}

func (f *failure) Error() string { return f.call + ": " + f.err.Error() }

// failed names the call of an error; nil stays nil.
func failed(call string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{call, err}
}
