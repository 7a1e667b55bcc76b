// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

const (
	scrapeTimeout  = 10 * time.Second // is Prometheus's own default
	scrapesAtATime = 8
	mostUnsent     = 64 << 20 // bytes of answers that their clients have not taken yet
)

// Handler answers scrapes, in every format that Prometheus asks for, with the
// process's own metrics beside. Those that come while many are put together wait
// for their turn. An answer is complete before any of it is sent, and then it is
// the next one's turn, so that a slow client keeps nobody waiting. Compressing
// costs more time than all the rest, and is for scrapes from afar.
func (e *Exporter) Handler(log *slog.Logger, compress bool) http.Handler {
	process := ofProcess()
	all := prometheus.NewMultiTRegistry(e, prometheus.ToTransactionalGatherer(process))
	complaints := &scrapeLog{log: log}
	library := promhttp.HandlerForTransactional(all, promhttp.HandlerOpts{
		ErrorLog:           complaints,
		ErrorHandling:      promhttp.ContinueOnError,
		EnableOpenMetrics:  true,
		DisableCompression: !compress,
		Timeout:            scrapeTimeout,
	})
	answers := &answerer{exporter: e, process: process, complaints: complaints, compress: compress, turns: make(turns, scrapesAtATime)}
	chosen := make(turns, scrapesAtATime)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
		f := forms[format.FormatType()]
		if f != nil && r.URL.RawQuery == "" {
			answers.serve(w, r, format, f)
			return
		}
		// Some names alone, by the query. The library's turn ends when all is sent.
		if !chosen.take(w, r) {
			return
		}
		defer chosen.give()
		library.ServeHTTP(w, r)
	})
}

// forms are the formats that are written here; the library has the others.
var forms = map[expfmt.FormatType]form{expfmt.TypeTextPlain: &plainText, expfmt.TypeOpenMetrics: &openMetrics, expfmt.TypeProtoDelim: protobufForm{}}

// answerer answers in one of forms.
type answerer struct {
	exporter   *Exporter
	process    prometheus.Gatherer
	complaints *scrapeLog
	compress   bool
	turns      turns        // of those that put an answer together
	answers    sync.Pool    // of *[]byte, for the next ones
	length     atomic.Int64 // of the latest
	unsent     atomic.Int64 // bytes
}

func (h *answerer) serve(w http.ResponseWriter, r *http.Request, format expfmt.Format, f form) {
	if h.unsent.Load() > mostUnsent {
		tooMany(w)
		return
	}
	if !h.turns.take(w, r) {
		return
	}
	answer := h.put(format, f)
	h.turns.give()
	defer h.answers.Put(answer)
	h.unsent.Add(int64(len(*answer)))
	defer h.unsent.Add(-int64(len(*answer)))
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(scrapeTimeout)) // a recorder has none
	_ = h.send(w, r, *answer)                                                         // that a client went away is its own affair
}

// put puts an answer together.
func (h *answerer) put(format expfmt.Format, f form) *[]byte {
	answer, _ := h.answers.Get().(*[]byte)
	if answer == nil { // nearly always: the pool forgets sooner than the next scrape comes, and to grow costs half a scrape
		anew := make([]byte, 0, h.length.Load()*17/16)
		answer = &anew
	}
	var err error
	if *answer, err = h.exporter.append((*answer)[:0], f); err != nil {
		h.complaints.Println("error gathering metrics:", err)
	}
	if err := h.addProcess((*appender)(answer), format); err != nil {
		h.complaints.Println("error gathering metrics:", err)
	}
	h.length.Store(int64(len(*answer)))
	return answer
}

// addProcess adds what client_golang says of the process, and the format's end.
func (h *answerer) addProcess(to *appender, format expfmt.Format) error {
	families, err := h.process.Gather()
	encoder := expfmt.NewEncoder(to, format)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	if end, ok := encoder.(expfmt.Closer); ok && err == nil {
		err = end.Close()
	}
	return err
}

func (h *answerer) send(w http.ResponseWriter, r *http.Request, answer []byte) error {
	if !h.compress || !accepts(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, err := w.Write(answer)
		return err
	}
	w.Header().Set("Content-Encoding", "gzip")
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := z.Write(answer); err != nil {
		return err
	}
	return z.Close()
}

// accepts tells whether an Accept-Encoding names an encoding, and not as one
// that is unwanted.
func accepts(header, encoding string) bool {
	for offer := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(offer, ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(quality), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

// appender is bytes that what is written is added to.
type appender []byte

func (a *appender) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}

var _ io.Writer = (*appender)(nil)
