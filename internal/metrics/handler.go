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
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

const (
	scrapeTimeout  = 10 * time.Second // is Prometheus's own default
	scrapesAtATime = 8
)

// Handler answers scrapes, in every format that Prometheus asks for, with the
// process's own metrics beside. An answer is complete before any of it is
// sent, so that a slow client keeps nobody waiting. Compressing costs more
// time than all the rest, and is for scrapes from afar.
func (e *Exporter) Handler(log *slog.Logger, compress bool) http.Handler {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	all := prometheus.NewMultiTRegistry(e, prometheus.ToTransactionalGatherer(process))
	complaints := &scrapeLog{log: log}
	inProtobuf := promhttp.HandlerForTransactional(all, promhttp.HandlerOpts{
		ErrorLog:           complaints,
		ErrorHandling:      promhttp.ContinueOnError,
		EnableOpenMetrics:  true,
		DisableCompression: !compress,
		Timeout:            scrapeTimeout,
	})
	texts := &textHandler{exporter: e, process: process, complaints: complaints, compress: compress}
	running := make(chan bool, scrapesAtATime)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case running <- true:
			defer func() { <-running }()
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, strconv.Itoa(scrapesAtATime)+" scrapes are running: try again later", http.StatusServiceUnavailable)
			return
		}
		format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
		form := forms[format.FormatType()]
		if form == nil || r.URL.RawQuery != "" { // which asks for some names
			inProtobuf.ServeHTTP(w, r)
			return
		}
		texts.serve(w, r, format, form)
	})
}

// forms are the text formats.
var forms = map[expfmt.FormatType]*textForm{expfmt.TypeTextPlain: &plainText, expfmt.TypeOpenMetrics: &openMetrics}

// textHandler answers in the text formats.
type textHandler struct {
	exporter   *Exporter
	process    *prometheus.Registry
	complaints *scrapeLog
	compress   bool
	texts      sync.Pool    // of *[]byte, for the next answers
	length     atomic.Int64 // of the latest answer
}

func (h *textHandler) serve(w http.ResponseWriter, r *http.Request, format expfmt.Format, form *textForm) {
	text, _ := h.texts.Get().(*[]byte)
	if text == nil { // nearly always: the pool forgets sooner than the next scrape comes, and to grow costs half a scrape
		anew := make([]byte, 0, h.length.Load()*17/16)
		text = &anew
	}
	defer h.texts.Put(text)
	var err error
	if *text, err = h.exporter.appendText((*text)[:0], form); err != nil {
		h.complaints.Println("error gathering metrics:", err)
	}
	if err := h.addProcess((*appender)(text), format); err != nil {
		h.complaints.Println("error gathering metrics:", err)
	}
	h.length.Store(int64(len(*text)))
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Vary", "Accept, Accept-Encoding")
	_ = h.send(w, r, *text) // that a client went away is its own affair
}

// addProcess adds what client_golang says of the process, and the format's end.
func (h *textHandler) addProcess(to *appender, format expfmt.Format) error {
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

func (h *textHandler) send(w http.ResponseWriter, r *http.Request, text []byte) error {
	if !h.compress || !accepts(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, err := w.Write(text)
		return err
	}
	w.Header().Set("Content-Encoding", "gzip")
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := z.Write(text); err != nil {
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
