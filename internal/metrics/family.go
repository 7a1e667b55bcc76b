// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// Family is one metric: its name, and one series for each of its labels'
// values.
type Family struct {
	Name   string
	Type   dto.MetricType
	Help   string   // one sentence, for people who only see the number
	Labels []string // in the order in which add gives their values

	add func(*input, *series)
}

func counter(name, help string, labels []string, add func(*input, *series)) Family {
	return Family{name, dto.MetricType_COUNTER, help, labels, add}
}

func gauge(name, help string, labels []string, add func(*input, *series)) Family {
	return Family{name, dto.MetricType_GAUGE, help, labels, add}
}

func histogram(name, help string, labels []string, add func(*input, *series)) Family {
	return Family{name, dto.MetricType_HISTOGRAM, help, labels, add}
}

// Families are all metrics, by name.
func Families() []Family {
	all := slices.Concat(trafficFamilies, misrouteFamilies, connectionFamilies, histogramFamilies, classFamilies, ruleFamilies, hostFamilies, probeFamilies, policyFamilies)
	slices.SortFunc(all, func(a, b Family) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
