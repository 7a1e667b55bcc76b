// SPDX-License-Identifier: Apache-2.0

// Package metrics shows what is counted as Prometheus metrics. It only reads:
// the kernel counts, and every label's values are bounded by the policy.
// METRICS.md lists the metrics.
package metrics

//go:generate go test -count=1 -run ^TestPage$ . -update
