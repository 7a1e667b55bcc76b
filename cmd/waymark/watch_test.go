// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// TestWatchedPeers has peers as people write them, and as the sockets of IPv6 do.
func TestWatchedPeers(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.9":            "203.0.113.9/32",
		"203.0.113.9/24":         "203.0.113.9/24",
		"::ffff:203.0.113.9":     "203.0.113.9/32",
		"::ffff:203.0.113.0/120": "203.0.113.0/24",
		"2001:db8::9":            "2001:db8::9/128",
		"2001:db8::/32":          "2001:db8::/32",
		"203.0.113.9:443":        "invalid Prefix",
		"example.org":            "invalid Prefix",
	} {
		w := watch{peer: text}
		if err := w.check(newWatch(env{})); w.Peer.String() != want || (err != nil) != !w.Peer.IsValid() {
			t.Errorf("--peer %s is %s (%v), want %s", text, w.Peer, err, want)
		}
	}
}
