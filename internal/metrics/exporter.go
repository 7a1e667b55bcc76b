// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// Exporter turns what a source reads into metrics. It is a
// prometheus.TransactionalGatherer rather than a collector behind a registry,
// which would make, check and sort every series of every scrape anew.
type Exporter struct {
	source   Source
	families []Family

	lock   sync.Mutex // held from Gather until what it returned is written
	series []*series
	shown  []*dto.MetricFamily
	failed uint64
}

// New is an exporter of a source.
func New(s Source) *Exporter {
	e := &Exporter{source: s, families: Families()}
	for _, f := range e.families {
		e.series = append(e.series, newSeries(f))
	}
	return e
}

// Gather reads everything once. What it returns is good until done is
// called; until then nobody else gathers. Beside an error stands what could be
// read.
func (e *Exporter) Gather() (shown []*dto.MetricFamily, done func(), err error) {
	e.lock.Lock()
	in, err := e.source.read(&e.failed)
	e.shown = e.shown[:0]
	for i, s := range e.series {
		if s.fill(e.families[i].add, &in); s.used > 0 {
			e.shown = append(e.shown, &s.family)
		}
	}
	return e.shown, e.lock.Unlock, err
}

// scrapeTimeout is Prometheus's own default.
const scrapeTimeout = 10 * time.Second

// Handler answers scrapes, in every format that Prometheus asks for, with the
// process's own metrics beside. An answer is complete before any of it is
// sent, so that a slow client keeps nobody waiting. Compressing costs as much
// time again, and is for scrapes from afar.
func (e *Exporter) Handler(log *slog.Logger, compress bool) http.Handler {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	all := prometheus.NewMultiTRegistry(e, prometheus.ToTransactionalGatherer(process))
	return promhttp.HandlerForTransactional(all, promhttp.HandlerOpts{
		ErrorLog:            &scrapeLog{log: log},
		ErrorHandling:       promhttp.ContinueOnError,
		EnableOpenMetrics:   true,
		DisableCompression:  !compress,
		MaxRequestsInFlight: 8,
		Timeout:             scrapeTimeout,
	})
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
