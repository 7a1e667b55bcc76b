// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"time"

	"waymark/internal/probe"
	"waymark/loader"
)

//go:embed static
var static embed.FS

// Source is what the page's numbers are read from, by one goroutine. It is
// closed while nobody looks, and read again after that.
type Source interface {
	Read() (*loader.Sample, error) // an error that is fs.ErrNotExist says that nothing is applied
	Close()
}

// Past is what became of the policy lately.
type Past struct {
	States []loader.Past     `json:"states"` // the one in force first
	Moves  []loader.Override `json:"moves"`  // those in force
}

// Heal is one thing that the agent put back.
type Heal struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Object string    `json:"object"`
	By     string    `json:"by"` // who had changed it; "" where nobody knows
}

// Agent is what the agent says of itself.
type Agent struct {
	Since    time.Time         `json:"since"`
	Heals    map[string]uint64 `json:"heals"`    // what it put back since then, by kind
	Last     []Heal            `json:"last"`     // the latest of those, newest last
	Problems []string          `json:"problems"` // what is wrong now, in sentences
	Probes   []probe.State     `json:"probes"`   // of the uplinks that are probed
}

// PageOptions are what the page shows, and what may be asked by it. Past and
// Agent are called by the goroutine that reads Source; Explain and Move by
// any, a few at a time.
type PageOptions struct {
	Host   string // this host's name
	Source Source
	Past   func() (Past, error)
	Agent  func() (*Agent, error) // nil, nil: none runs
	// Explain answers a question; what it returns is the answer of the verb
	// in JSON, and its error is shown as it is.
	Explain func(context.Context, Question) (json.RawMessage, error)
	// Move moves traffic, or says what a move would do. nil: the page only shows.
	Move func(context.Context, Move) (json.RawMessage, error)
	Named
}

// Page is the page, and what it is made of, as a handler. Close it when
// nothing is served any more.
type Page struct {
	PageOptions
	handler http.Handler
	reader  *reader
	stream  *stream
	token   string    // those who change something have it from the page
	asking  chan bool // has room while another question may be asked
}

// NewPage makes the page.
func NewPage(o PageOptions) *Page {
	p := &Page{PageOptions: o, token: rand.Text(), asking: make(chan bool, questionsAtOnce)}
	p.reader = newReader(o)
	p.stream = &stream{read: p.reader.frame, sleep: p.reader.forget, every: time.Second, limit: watchers, newer: make(chan bool, 1)}
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /events", asked(p.events))
	mux.HandleFunc("GET /class", asked(p.class))
	mux.HandleFunc("GET /explain", asked(p.explain))
	if o.Move != nil {
		mux.HandleFunc("POST /move", asked(p.move))
	}
	p.handler = p.guard(mux)
	return p
}

// ServeHTTP serves the page.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Close ends every stream, and returns when nothing is read any more.
func (p *Page) Close() { p.stream.close() }
