// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	dto "github.com/prometheus/client_model/go"

	"waymark/internal/datapath"
)

// series are a family's series, kept from scrape to scrape: where a scrape
// shows what the one before did, only numbers are written, and nothing is
// allocated.
type series struct {
	family dto.MetricFamily
	labels []string
	all    []*dto.Metric // those of the longest scrape; family.Metric is the front of it
	used   int
}

func newSeries(f Family) *series {
	return &series{family: dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: &f.Type}, labels: f.Labels}
}

// fill replaces what is shown.
func (s *series) fill(add func(*input, *series), in *input) {
	s.used = 0
	add(in, s)
	s.family.Metric = s.all[:s.used]
}

// count, set and observe add one series with the values of its labels.

func (s *series) count(n uint64, values ...string) {
	m := s.next(values)
	if m.Counter == nil {
		m.Counter = &dto.Counter{Value: new(float64)}
	}
	*m.Counter.Value = float64(n)
}

func (s *series) set(x float64, values ...string) {
	m := s.next(values)
	if m.Gauge == nil {
		m.Gauge = &dto.Gauge{Value: new(float64)}
	}
	*m.Gauge.Value = x
}

func (s *series) observe(h *datapath.Histogram, values ...string) {
	m := s.next(values)
	if m.Histogram == nil {
		m.Histogram = &dto.Histogram{}
	}
	fillHistogram(m.Histogram, h)
}

func (s *series) next(values []string) *dto.Metric {
	if s.used == len(s.all) {
		s.all = append(s.all, &dto.Metric{Label: s.pairs()})
	}
	m := s.all[s.used]
	s.used++
	for i, pair := range m.Label {
		if *pair.Value != values[i] {
			*pair.Value = values[i]
		}
	}
	return m
}

func (s *series) pairs() []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, len(s.labels))
	for i := range s.labels {
		pairs[i] = &dto.LabelPair{Name: &s.labels[i], Value: new(string)}
	}
	return pairs
}
