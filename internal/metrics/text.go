// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"waymark/internal/datapath"
)

// textForm is one of the two text formats. Theirs are written here rather
// than by expfmt, which puts together the name and the labels of every line
// again.
type textForm struct {
	labels   string               // that every series has before its own
	metaName func(Family) string  // what HELP and TYPE call a family
	help     *strings.Replacer    // escapes its help
	bound    func(float64) string // of a bucket
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// plainText is text/plain in version 0.0.4.
var plainText = textForm{
	metaName: func(f Family) string { return f.Name },
	help:     escapeHelp,
	bound:    func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) },
}

// openMetrics is application/openmetrics-text in version 1.0.0, without its end.
var openMetrics = textForm{
	metaName: func(f Family) string {
		if f.Type == dto.MetricType_COUNTER {
			return strings.TrimSuffix(f.Name, "_total")
		}
		return f.Name
	},
	help: escapeLabel,
	bound: func(x float64) string {
		text := strconv.FormatFloat(x, 'g', -1, 64)
		if !strings.ContainsAny(text, "e.") {
			text += ".0"
		}
		return text
	},
}

func (form *textForm) appendFamily(to []byte, s *series) []byte {
	if s.parts == nil || s.parts.form != form {
		s.parts = partsOf(s.of, form)
	}
	p := s.parts
	to = append(to, p.meta...)
	for k, labels := range s.labels[:s.used] {
		if s.of.Type == dto.MetricType_HISTOGRAM {
			to = p.appendHistogram(to, labels, s.histograms[k])
		} else {
			to = appendNumber(p.appendName(to, p.number, labels, p.end), s.numbers[k])
		}
	}
	return to
}

// parts are what the lines of a family have in common: a line is copies of
// them around its labels, and a number.
type parts struct {
	form                       *textForm
	meta                       string // HELP and TYPE
	number, bucket, sum, count string // a line up to its labels, by what it is of
	end, more                  string // what comes after the labels, before the number or a bound
	longest                    string // the bound of all
	layout                     layout
	classic                    []classic
}

// layout is which buckets a histogram has: all of a family have the same.
type layout struct {
	schema, first int32
	buckets       int
}

// classic is a bucket of a classic histogram.
type classic struct {
	places
	bound string // as it stands behind the labels
}

func partsOf(f Family, form *textForm) *parts {
	meta := form.metaName(f)
	p := &parts{form: form, meta: "# HELP " + meta + " " + form.help.Replace(f.Help) + "\n# TYPE " + meta + " " + typeName(f.Type) + "\n"}
	begin := "{" + form.labels
	p.end, p.more = "} ", ","
	switch {
	case len(f.Labels) > 0 && form.labels != "":
		begin += ","
	case len(f.Labels) == 0 && form.labels == "":
		begin, p.end, p.more = "", " ", ""
	}
	p.number, p.bucket, p.sum, p.count = f.Name+begin, f.Name+"_bucket{"+strings.TrimPrefix(begin, "{"), f.Name+"_sum"+begin, f.Name+"_count"+begin
	p.longest = p.bound("+Inf")
	return p
}

func (p *parts) appendName(to []byte, begin string, labels []byte, end string) []byte {
	return append(append(append(to, begin...), labels...), end...)
}

func (p *parts) appendHistogram(to []byte, labels []byte, h *datapath.Histogram) []byte {
	if l := (layout{h.Schema, h.First, len(h.Buckets)}); p.classic == nil || l != p.layout {
		p.layout = l
		p.classic = p.classic[:0]
		for place, bound := range classicBuckets(h) {
			p.classic = append(p.classic, classic{place, p.bound(p.form.bound(bound))})
		}
	}
	below := uint64(0)
	for i := range p.classic {
		c := &p.classic[i]
		below += sum(h.Buckets[c.from:c.to])
		to = appendCount(p.appendName(to, p.bucket, labels, c.bound), below)
	}
	to = appendCount(p.appendName(to, p.bucket, labels, p.longest), h.Count)
	to = appendNumber(p.appendName(to, p.sum, labels, p.end), h.Sum)
	return appendCount(p.appendName(to, p.count, labels, p.end), h.Count)
}

func (p *parts) bound(text string) string { return p.more + `le="` + text + `"} ` }

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// appendNumber writes whole numbers as such: most are, and that is quicker.
func appendNumber(to []byte, x float64) []byte {
	const exact = 1 << 53
	if n := uint64(x); x >= 0 && x < exact && float64(n) == x {
		return appendCount(to, n)
	}
	return append(strconv.AppendFloat(to, x, 'g', -1, 64), '\n')
}

func appendCount(to []byte, n uint64) []byte { return append(strconv.AppendUint(to, n, 10), '\n') }

// labelText is the labels of a series, as they stand between the braces.
func labelText(names, values []string) []byte {
	var b bytes.Buffer
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name + `="` + escapeLabel.Replace(values[i]) + `"`)
	}
	return b.Bytes()
}
