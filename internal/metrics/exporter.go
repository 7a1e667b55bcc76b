// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"io/fs"
	"sync"

	dto "github.com/prometheus/client_model/go"
)

// Exporter turns what a source reads into metrics. It is a
// prometheus.TransactionalGatherer rather than a collector behind a registry,
// which would make, check and sort every series of every scrape anew.
type Exporter struct {
	source   Source
	families []Family
	labels   []string // names of those that were added to what is written
	written  textForm

	lock   sync.Mutex // held while series are filled and written
	series []*series
	pairs  []pair
	shown  []*dto.MetricFamily
	failed uint64
}

// New is an exporter of a source.
func New(s Source) *Exporter {
	e := &Exporter{source: s, families: Families(), written: plainText}
	for _, f := range e.families {
		e.series = append(e.series, newSeries(f))
	}
	return e
}

// fill reads everything once. The lock has to be held, until done is called.
// Beside an error stands what could be read.
func (e *Exporter) fill() error {
	in, err := e.source.read(&e.failed)
	e.pairs = pairsOf(sampled(&in), e.pairs[:0])
	in.pairs = e.pairs
	for i, s := range e.series {
		s.fill(e.families[i].add, &in)
	}
	return err
}

func (e *Exporter) done() {
	for _, s := range e.series {
		s.done()
	}
	clear(e.pairs)
	e.lock.Unlock()
}

// Gather reads everything once. What it returns is good until done is
// called; until then nobody else gathers. Beside an error stands what could be
// read.
func (e *Exporter) Gather() (shown []*dto.MetricFamily, done func(), err error) {
	e.lock.Lock()
	err = e.fill()
	e.shown = e.shown[:0]
	for _, s := range e.series {
		if s.used > 0 {
			e.shown = append(e.shown, s.message())
		}
	}
	return e.shown, e.done, err
}

// form is a format that everything is written in.
type form interface {
	// appendFamily adds a family that has something to show.
	appendFamily(to []byte, s *series) []byte
}

// append adds everything in one format. Beside an error stands what could be
// read.
func (e *Exporter) append(to []byte, f form) ([]byte, error) {
	e.lock.Lock()
	defer e.done()
	err := e.fill()
	for _, s := range e.series {
		if s.used > 0 {
			to = f.appendFamily(to, s)
		}
	}
	return to, err
}

// Ready tells why there is nothing to show; nil: there is.
func (e *Exporter) Ready() error {
	e.lock.Lock()
	defer e.lock.Unlock()
	_, err := e.source.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no policy is applied")
	}
	return err
}
