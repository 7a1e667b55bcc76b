// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"

	"waymark/internal/agent"
	"waymark/internal/web"
	"waymark/loader"
)

// withPage calls do with the page, which has a loader of its own.
func (s *source) withPage(o listening, do func(http.Handler) error) error {
	return s.onHost(func(l *loader.Loader) error {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		options := web.PageOptions{Host: host, Source: l.Meter(), Explain: s.explainToPage,
			Named: o.named(),
			Past:  func() (web.Past, error) { return pastForPage(l) },
			Agent: func() (*web.Agent, error) { return agentForPage(l) }}
		if o.changes {
			options.Move = s.moveForPage
		}
		page := web.NewPage(options)
		defer page.Close()
		return do(page)
	})
}

// named are the names that are answered to.
func (o *listening) named() web.Named {
	host, _ := os.Hostname() // "": it goes by its addresses
	n := web.Named{Names: []string{host}, LetIn: func(r *http.Request) bool { return web.LetIn(o.config, r) }}
	if name, _, err := net.SplitHostPort(o.address); err == nil {
		n.Names = append(n.Names, name)
	}
	return n
}

func pastForPage(l *loader.Loader) (p web.Past, err error) {
	if p.States, p.Moves, err = l.History(); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return p, err
}

func agentForPage(l *loader.Loader) (*web.Agent, error) {
	r, err := agent.Read(l.Netns())
	if r == nil {
		return nil, err
	}
	a := &web.Agent{Since: r.Since, Heals: r.Heals, Problems: r.Problems, Probes: r.Probes}
	for _, h := range r.Last {
		a.Last = append(a.Last, web.Heal(h))
	}
	return a, err
}

// explainToPage is the verb's answer.
func (s *source) explainToPage(ctx context.Context, q web.Question) (json.RawMessage, error) {
	args := []string{"explain"}
	for _, f := range []struct{ flag, value string }{{"pid", q.PID}, {"unit", q.Unit}, {"container", q.Container}, {"cgroup", q.Cgroup}, {"uid", q.UID},
		{"proto", q.Proto}, {"src", q.Src}, {"sport", q.Sport}, {"dst", q.Dst}, {"dport", q.Dport}} {
		if f.value != "" {
			args = append(args, "--"+f.flag+"="+f.value)
		}
	}
	return s.verb(ctx, s.author, args)
}

// moveForPage is the verb's work, by who is logged in.
func (s *source) moveForPage(ctx context.Context, m web.Move) (json.RawMessage, error) {
	args := []string{"move"}
	if m.Fate != "" {
		args = append(args, "--existing="+m.Fate)
	}
	if m.DryRun {
		args = append(args, "--dry-run")
	}
	if m.Undo {
		args = append(args, "--undo", "--", m.Subject)
	} else {
		args = append(args, "--", m.Subject, m.To)
	}
	return s.verb(ctx, m.Author, args)
}

// verb runs one as the command line would, so that the page says exactly
// what the command says.
func (s *source) verb(ctx context.Context, author string, args []string) (json.RawMessage, error) {
	words := []string{args[0], "--output=json"}
	if s.cgroupRoot != "" {
		words = append(words, "--cgroup-root="+s.cgroupRoot)
	}
	var stdout, stderr bytes.Buffer
	e := env{stdout: &stdout, stderr: &stderr, author: author, stateDir: s.stateDir, done: ctx.Done()}
	if code := run(ctx, e, append(words, args[1:]...)); code != exitDone {
		return nil, errors.New(strings.ReplaceAll(strings.TrimSpace(stderr.String()), "waymark: ", ""))
	}
	return stdout.Bytes(), nil
}
