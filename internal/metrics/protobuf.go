// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
)

// protobufForm is delimited protobuf: a MetricFamily of client_model's
// metrics.proto after the other, each behind its length. It is written here for
// the same reason as the text: the labels of a series are put together once.
type protobufForm struct{}

// The fields of metrics.proto, by their numbers.
const (
	nameOfFamily, helpOfFamily, typeOfFamily, metricOfFamily         = 1, 2, 3, 4
	labelOfMetric, gaugeOfMetric, counterOfMetric, histogramOfMetric = 1, 2, 3, 7
	nameOfLabel, valueOfLabel                                        = 1, 2
	valueOfNumber                                                    = 1 // Gauge and Counter
	countOfHistogram, sumOfHistogram, bucketOfHistogram              = 1, 2, 3
	schemaOfHistogram, thresholdOfHistogram, zeroOfHistogram         = 5, 6, 7
	spanOfHistogram, deltaOfHistogram                                = 12, 13
	countOfBucket, boundOfBucket                                     = 1, 2
	offsetOfSpan, lengthOfSpan                                       = 1, 2
)

func (protobufForm) appendFamily(to []byte, s *series) []byte {
	to = append(to, make([]byte, familyLength)...)
	from := len(to)
	to = appendText(to, nameOfFamily, s.of.Name)
	to = appendText(to, helpOfFamily, s.of.Help)
	to = appendUint(to, typeOfFamily, uint64(s.of.Type))
	for k := range s.used {
		to = appendMessage(to, metricOfFamily, func(to []byte) []byte { return s.appendMetric(to, k) })
	}
	putLength(to[from-familyLength:from], len(to)-from)
	return to
}

// familyLength is how many bytes a family's length has, more than it may need:
// a megabyte need not be moved once it is known.
const familyLength = 5

// putLength fills all of room with a varint.
func putLength(room []byte, n int) {
	for i := range room {
		room[i] = byte(n>>(7*i))&0x7f | 0x80
	}
	room[len(room)-1] &= 0x7f
}

func (s *series) appendMetric(to []byte, k int) []byte {
	if s.pairs[k] == nil {
		s.pairs[k] = labelPairs(s.of.Labels, s.values[k*len(s.of.Labels):])
	}
	to = append(to, s.pairs[k]...)
	switch s.of.Type {
	case dto.MetricType_HISTOGRAM:
		fillHistogram(&s.histogram, s.histograms[k])
		return appendMessage(to, histogramOfMetric, func(to []byte) []byte { return appendHistogram(to, &s.histogram) })
	case dto.MetricType_COUNTER:
		return appendMessage(to, counterOfMetric, func(to []byte) []byte { return appendDouble(to, valueOfNumber, s.numbers[k]) })
	default:
		return appendMessage(to, gaugeOfMetric, func(to []byte) []byte { return appendDouble(to, valueOfNumber, s.numbers[k]) })
	}
}

// labelPairs are the labels of a series, as they stand in its Metric.
func labelPairs(names, values []string) (pairs []byte) {
	pairs = []byte{} // of none, too
	for i, name := range names {
		pairs = appendMessage(pairs, labelOfMetric, func(to []byte) []byte {
			return appendText(appendText(to, nameOfLabel, name), valueOfLabel, values[i])
		})
	}
	return pairs
}

func appendHistogram(to []byte, h *dto.Histogram) []byte {
	to = appendUint(to, countOfHistogram, h.GetSampleCount())
	to = appendDouble(to, sumOfHistogram, h.GetSampleSum())
	for _, b := range h.Bucket {
		to = appendMessage(to, bucketOfHistogram, func(to []byte) []byte {
			return appendDouble(appendUint(to, countOfBucket, b.GetCumulativeCount()), boundOfBucket, b.GetUpperBound())
		})
	}
	to = appendUint(to, schemaOfHistogram, protowire.EncodeZigZag(int64(h.GetSchema())))
	to = appendDouble(to, thresholdOfHistogram, h.GetZeroThreshold())
	to = appendUint(to, zeroOfHistogram, h.GetZeroCount())
	for _, span := range h.PositiveSpan {
		to = appendMessage(to, spanOfHistogram, func(to []byte) []byte {
			to = appendUint(to, offsetOfSpan, protowire.EncodeZigZag(int64(span.GetOffset())))
			return appendUint(to, lengthOfSpan, uint64(span.GetLength()))
		})
	}
	return appendMessage(to, deltaOfHistogram, func(to []byte) []byte {
		for _, d := range h.PositiveDelta {
			to = protowire.AppendVarint(to, protowire.EncodeZigZag(d))
		}
		return to
	})
}

// appendMessage adds a field that is a message, or a list of numbers. Nearly all
// are short: their length has one byte, for which there is room beforehand.
func appendMessage(to []byte, field protowire.Number, body func([]byte) []byte) []byte {
	to = append(protowire.AppendTag(to, field, protowire.BytesType), 0)
	from := len(to)
	to = body(to)
	n := len(to) - from
	size := protowire.SizeVarint(uint64(n))
	if size > 1 {
		to = slices.Insert(to, from, make([]byte, size-1)...)
	}
	putLength(to[from-1:][:size], n)
	return to
}

func appendText(to []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(to, field, protowire.BytesType), text)
}

func appendUint(to []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, field, protowire.VarintType), n)
}

func appendDouble(to []byte, field protowire.Number, x float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(to, field, protowire.Fixed64Type), math.Float64bits(x))
}
