// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	questionsAtOnce = 2
	longestQuestion = 4096             // bytes
	longestAnswer   = 30 * time.Second // that one waits for it
)

// Question is a flow as a person writes it, by the flags of `waymark
// explain`. What is empty is not known.
type Question struct {
	PID, Unit, Container, Cgroup, UID, Proto, Src, Sport, Dst, Dport string
}

// Move is a move as a person writes it, by the words of `waymark move`.
type Move struct {
	Author  string `json:"-"`       // who is logged in, by a password or a certificate
	Subject string `json:"subject"` // what is moved
	To      string `json:"to"`      // a class's name
	Fate    string `json:"fate"`    // of open sockets; "": the class's own
	Undo    bool   `json:"undo"`    // it is taken back, and To and Fate are empty
	DryRun  bool   `json:"dryRun"`  // nothing is changed
}

// hello is what the page needs to know before anything else.
func (p *Page) hello() []byte {
	hello := map[string]any{"host": p.Host, "changes": p.Move != nil}
	if p.Move != nil {
		hello["token"] = p.token
	}
	return encode(hello)
}

func (p *Page) explain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.answer(w, r, func(ctx context.Context) (json.RawMessage, error) {
		if len(r.URL.RawQuery) > longestQuestion {
			return nil, errors.New("the question is too long")
		}
		return p.Explain(ctx, question(q))
	})
}

func question(q url.Values) Question {
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return Question{PID: get("pid"), Unit: get("unit"), Container: get("container"), Cgroup: get("cgroup"), UID: get("uid"), Proto: get("proto"),
		Src: get("src"), Sport: get("sport"), Dst: get("dst"), Dport: get("dport")}
}

// move takes a move from the page alone: a password goes along with what any
// other page sends here, but the token does not.
func (p *Page) move(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Waymark-Token") != p.token || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "this page was loaded before waymark started anew, or is another one: load it again", http.StatusForbidden)
		return
	}
	if !p.LetIn(r) {
		http.Error(w, "nothing is changed without a password or a certificate, and the web configuration asks for none any more; one that asks for certificates does so when waymark is started anew", http.StatusForbidden)
		return
	}
	var m Move
	in := json.NewDecoder(io.LimitReader(r.Body, longestQuestion))
	in.DisallowUnknownFields()
	if err := in.Decode(&m); err != nil {
		reply(w, nil, errors.New("the move cannot be read: load the page again"))
		return
	}
	p.answer(w, r, func(ctx context.Context) (json.RawMessage, error) {
		m.Author = author(r)
		if !m.DryRun {
			defer p.stream.hurry()
		}
		return p.Move(ctx, m)
	})
}

// answer asks, where not too many do, and writes what the answer is.
func (p *Page) answer(w http.ResponseWriter, r *http.Request, ask func(context.Context) (json.RawMessage, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), longestAnswer)
	defer cancel()
	select {
	case p.asking <- true:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		http.Error(w, "others ask too: try again", http.StatusServiceUnavailable)
		return
	}
	text, err := ask(ctx)
	reply(w, text, err)
}

// reply writes an answer as the verb has it, or its error, {"error": TEXT}. An
// error is an answer too: that a question was wrong is nothing wrong with the page.
func reply(w http.ResponseWriter, text json.RawMessage, err error) {
	if err != nil {
		text = encode(map[string]string{"error": err.Error()})
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
