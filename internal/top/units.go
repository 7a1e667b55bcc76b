// SPDX-License-Identifier: Apache-2.0

package top

import (
	"fmt"
	"math"
	"strings"
)

// amount is a number in at most five characters, by powers of 1000: 7, 0.3,
// 1.2k, 12.3M, 123G.
func amount(v float64) string {
	if v == 0 {
		return "0"
	}
	unit := 0
	for units := "kMGTPE"; v >= 999.5 && unit < len(units); unit++ {
		v /= 1000
	}
	text := fmt.Sprintf("%.1f", v)
	if v >= 99.95 || unit == 0 && v == math.Trunc(v) {
		text = fmt.Sprintf("%.0f", v)
	}
	return text + strings.TrimSpace(" kMGTPE"[unit:unit+1])
}

// duration is a time in seconds in at most five characters: 83µs, 1.2ms, 2.5s.
func duration(seconds float64) string {
	switch {
	case seconds < 999.5e-6:
		return fmt.Sprintf("%.0fµs", seconds*1e6)
	case seconds < 99.95e-3:
		return fmt.Sprintf("%.1fms", seconds*1e3)
	case seconds < 999.5e-3:
		return fmt.Sprintf("%.0fms", seconds*1e3)
	case seconds < 99.95:
		return fmt.Sprintf("%.1fs", seconds)
	}
	return fmt.Sprintf("%.0fs", seconds)
}

// percent is a part in at most five characters.
func percent(part float64) string {
	switch {
	case part == 0 || part >= 0.0995:
		return fmt.Sprintf("%.0f%%", 100*part)
	case part < 0.001:
		return fmt.Sprintf("%.2f%%", max(0.01, 100*part))
	}
	return fmt.Sprintf("%.2g%%", 100*part)
}

// The bars of a sparkline, lowest first: in Unicode, and in ASCII.
var (
	bars      = []rune("▁▂▃▄▅▆▇█")
	asciiBars = []rune("_.-=+*%#")
)

// sparkline draws the latest rates, as tall as the largest of them; nothing
// is a blank.
func sparkline(rates []float64, width int, bars []rune) string {
	rates = rates[max(0, len(rates)-width):]
	largest := 0.0
	for _, r := range rates {
		largest = max(largest, r)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(rates)))
	for _, r := range rates {
		if r <= 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(bars[min(len(bars)-1, int(r/largest*float64(len(bars))))])
	}
	return b.String()
}
