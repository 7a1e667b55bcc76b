// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"

	"waymark/internal/filters"
	"waymark/internal/host"
)

// readFilters is what iptables and nft say of this host's filters, and why some
// of it cannot be read. A program that is not installed has no filters.
func readFilters() (saved []filters.Saved, nft []byte, missed []error) {
	read := func(name string, args ...string) (text string, ok bool) {
		text, err := host.Output(name, args...)
		if err != nil && !errors.Is(err, host.ErrNotInstalled) {
			missed = append(missed, err)
		}
		return text, err == nil
	}
	for _, name := range []string{"iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"} {
		if text, ok := read(name + "-save"); ok {
			saved = append(saved, filters.Saved{Command: name, Text: text})
		}
	}
	if text, ok := read("nft", "-j", "list", "ruleset"); ok {
		if _, err := filters.ParseNft([]byte(text)); err != nil {
			missed = append(missed, err)
		} else {
			nft = []byte(text)
		}
	}
	return saved, nft, missed
}
