// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// ofProcess is what client_golang says of the process. OpenMetrics calls a
// counter without its _total, and there is a gauge of that name.
func ofProcess() prometheus.Gatherer {
	const twice = "go_memstats_alloc_bytes_total"
	all := prometheus.NewRegistry()
	all.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := all.Gather()
		return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == twice }), err
	})
}
