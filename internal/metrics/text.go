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
// again: where a scrape shows what the one before did, a line is two copies
// and a number.
type textForm struct {
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

// appendFamily writes a family that has something to show.
func (s *series) appendFamily(to []byte, form *textForm) []byte {
	name := form.metaName(s.of)
	to = append(to, "# HELP "+name+" "+form.help.Replace(s.of.Help)+"\n# TYPE "+name+" "+typeName(s.of.Type)+"\n"...)
	for k, labels := range s.labels[:s.used] {
		if s.of.Type == dto.MetricType_HISTOGRAM {
			to = s.appendHistogram(to, form, labels, s.histograms[k])
		} else {
			to = appendNumber(s.appendName(to, "", labels, ""), s.numbers[k])
		}
	}
	return to
}

func (s *series) appendHistogram(to []byte, form *textForm, labels []byte, h *datapath.Histogram) []byte {
	below, i := uint64(0), 0
	for place, bound := range classicBuckets(h) {
		below += sum(h.Buckets[place.from:place.to])
		to = appendCount(s.appendName(to, "_bucket", labels, s.bound(form, i, bound)), below)
		i++
	}
	to = appendCount(s.appendName(to, "_bucket", labels, "+Inf"), h.Count)
	to = appendNumber(s.appendName(to, "_sum", labels, ""), h.Sum)
	return appendCount(s.appendName(to, "_count", labels, ""), h.Count)
}

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// bound is the text of the i-th bucket's bound, which is the same for almost
// all series.
func (s *series) bound(form *textForm, i int, x float64) string {
	if i == len(s.bounds) {
		s.bounds = append(s.bounds, boundText{})
	}
	if b := &s.bounds[i]; b.form != form || b.x != x {
		*b = boundText{form, x, form.bound(x)}
	}
	return s.bounds[i].text
}

type boundText struct {
	form *textForm
	x    float64
	text string
}

// appendName writes a line up to its number.
func (s *series) appendName(to []byte, suffix string, labels []byte, bound string) []byte {
	to = append(append(to, s.of.Name...), suffix...)
	switch {
	case bound != "" && len(labels) > 0:
		to = append(append(to, '{'), labels...)
		to = append(append(append(to, `,le="`...), bound...), `"}`...)
	case bound != "":
		to = append(append(append(to, `{le="`...), bound...), `"}`...)
	case len(labels) > 0:
		to = append(append(append(to, '{'), labels...), '}')
	}
	return append(to, ' ')
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
