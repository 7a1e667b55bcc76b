// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"waymark/internal/lab"
)

// worker is the process of an arm that sends, in its cgroup from its first
// system call on. It sleeps while others are measured.
type worker struct {
	*child
	request *json.Encoder
	answer  *json.Decoder
}

// close ends the process, if there is one.
func (w *worker) close() error {
	if w == nil {
		return nil
	}
	return w.child.close()
}

// request asks a worker for one sample, answer is what it gives. An Op is a
// datagram, a flow, a byte: what the job counts.
type (
	request struct {
		Job string
		For time.Duration
	}
	answer struct {
		Ops     int
		Elapsed time.Duration
		Error   string
	}
)

func startWorker(ctx context.Context, l *lab.Lab, cgroup string, to targets) (*worker, error) {
	c, err := startChild(ctx, l.Host, cgroup, "role:worker")
	if err != nil {
		return nil, err
	}
	w := &worker{child: c, request: json.NewEncoder(c.in), answer: json.NewDecoder(c.out)}
	return w, w.request.Encode(to)
}

// sample is the nanoseconds that one op of the job took.
func (w *worker) sample(job string, length time.Duration) (ns float64, err error) {
	if err := w.request.Encode(request{job, length}); err != nil {
		return 0, fmt.Errorf("%s: ask the worker: %w", job, err)
	}
	var a answer
	if err := w.answer.Decode(&a); err != nil {
		return 0, fmt.Errorf("%s: hear from the worker: %w: %s", job, err, w.stderr())
	}
	if a.Error != "" {
		return 0, fmt.Errorf("%s: %s", job, a.Error)
	}
	return float64(a.Elapsed) / float64(a.Ops), nil
}

// A job is work that can be cut into steps. Its sockets are opened by
// begin, which is not timed; end closes them.
type job interface {
	begin(to targets) error
	step() (ops int, err error)
	end()
}

var jobs = map[string]func() job{
	datagrams:   func() job { return &connectedSender{} },
	unconnected: func() job { return &unconnectedSender{} },
	flows:       func() job { return &flowOpener{} },
	connections: func() job { return &connector{} },
	roundTrips:  func() job { return &pinger{} },
	bulk:        func() job { return &streamer{} },
}

func workerMain([]string) error {
	if err := settleOn(senderCPU); err != nil {
		return err
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var to targets
	if err := in.Decode(&to); err != nil {
		return err
	}
	for {
		var r request
		if err := in.Decode(&r); err != nil {
			return nil // the bench has no more to ask
		}
		var a answer
		if err := a.work(r, to); err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

// warmUp is how long a job runs before its time is taken, as a part of the sample.
const warmUp = 4

func (a *answer) work(r request, to targets) error {
	start, known := jobs[r.Job]
	if !known {
		return errors.New("there is no job " + strings.TrimSpace(r.Job))
	}
	j := start()
	defer j.end()
	if err := j.begin(to); err != nil {
		return err
	}
	var warm answer
	if err := warm.repeat(j, r.For/warmUp); err != nil {
		return err
	}
	return a.repeat(j, r.For)
}

func (a *answer) repeat(j job, length time.Duration) error {
	for start := time.Now(); a.Elapsed < length; a.Elapsed = time.Since(start) {
		ops, err := j.step()
		if err != nil {
			return err
		}
		a.Ops += ops
	}
	return nil
}
