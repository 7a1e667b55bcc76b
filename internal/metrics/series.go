// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"

	dto "github.com/prometheus/client_model/go"

	"waymark/internal/datapath"
)

// series are a family's series, kept from scrape to scrape: where a scrape
// shows what the one before did, only numbers are written, and nothing is
// allocated.
type series struct {
	of         Family
	used       int                   // how many are shown; what is kept behind them was shown earlier
	values     []string              // of the labels, series after series
	labels     [][]byte              // the same as text
	pairs      [][]byte              // and as protobuf; nil where nobody asked for that yet
	numbers    []float64             // of counters and gauges
	histograms []*datapath.Histogram // good until done
	parts      *parts                // of its lines, as they were written last
	histogram  dto.Histogram         // one after the other, as protobuf has it
	family     dto.MetricFamily      // made for those who ask for it
	metrics    []*dto.Metric
}

func newSeries(f Family) *series {
	return &series{of: f, family: dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: &f.Type}}
}

// fill replaces what is shown.
func (s *series) fill(add func(*input, *series), in *input) {
	s.used = 0
	add(in, s)
}

// done lets go of what was read.
func (s *series) done() { clear(s.histograms) }

// count, set and observe add one series with the values of its labels.

func (s *series) count(n uint64, values ...string) { s.numbers[s.next(values)] = float64(n) }

func (s *series) set(x float64, values ...string) { s.numbers[s.next(values)] = x }

func (s *series) observe(h *datapath.Histogram, values ...string) {
	s.histograms[s.next(values)] = h
}

// next is the place of one more series.
func (s *series) next(values []string) int {
	k, labels := s.used, len(s.of.Labels)
	if s.used++; k == len(s.labels) {
		s.values, s.labels = append(s.values, values...), append(s.labels, labelText(s.of.Labels, values))
		s.pairs = append(s.pairs, nil)
		if s.of.Type == dto.MetricType_HISTOGRAM {
			s.histograms = append(s.histograms, nil)
		} else {
			s.numbers = append(s.numbers, 0)
		}
		return k
	}
	if before := s.values[k*labels:][:labels]; !slices.Equal(before, values) {
		copy(before, values)
		s.labels[k], s.pairs[k] = labelText(s.of.Labels, values), nil
	}
	return k
}

// message is the family as client_golang's own encoders take it.
func (s *series) message() *dto.MetricFamily {
	for k := len(s.metrics); k < s.used; k++ {
		s.metrics = append(s.metrics, s.metric())
	}
	s.family.Metric = s.metrics[:s.used]
	for k, m := range s.family.Metric {
		for i, pair := range m.Label {
			*pair.Value = s.values[k*len(m.Label)+i]
		}
		switch s.of.Type {
		case dto.MetricType_HISTOGRAM:
			fillHistogram(m.Histogram, s.histograms[k])
		case dto.MetricType_COUNTER:
			*m.Counter.Value = s.numbers[k]
		default:
			*m.Gauge.Value = s.numbers[k]
		}
	}
	return &s.family
}

// metric is one without values.
func (s *series) metric() *dto.Metric {
	m := &dto.Metric{Label: make([]*dto.LabelPair, len(s.of.Labels))}
	for i := range s.of.Labels {
		m.Label[i] = &dto.LabelPair{Name: &s.of.Labels[i], Value: new(string)}
	}
	switch s.of.Type {
	case dto.MetricType_HISTOGRAM:
		m.Histogram = &dto.Histogram{}
	case dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: new(float64)}
	default:
		m.Gauge = &dto.Gauge{Value: new(float64)}
	}
	return m
}
