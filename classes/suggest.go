// SPDX-License-Identifier: Apache-2.0

package classes

import "strings"

// otherWords are what other tools call our keys.
var otherWords = map[string]string{
	"dest": "dst", "destination": "dst", "daddr": "dst", "to": "dst",
	"source": "src", "saddr": "src", "from": "src",
	"protocol": "proto", "ipproto": "proto",
	"port": "dport", "ports": "dport",
	"user": "uid", "users": "uid", "uidrange": "uid", "skuid": "uid",
	"slice": "cgroup", "service": "unit", "scope": "unit", "units": "unit", "cgroups": "cgroup",
	"docker": "container", "podman": "container", "pods": "pod", "labels": "label", "ns": "namespace",
	"in": "iif", "iifname": "iif",
	"dev": "interface", "device": "interface", "oif": "interface", "link": "interface",
	"via": "gateway", "gw": "gateway", "nexthop": "gateway",
	"masquerade": "snat", "nat": "snat",
	"fwmark": "mark", "table": "tables", "rule": "rules",
	"default": "otherwise", "fallback": "otherwise",
}

// closest returns which of words is probably meant by text, or "".
func closest(text string, words []string) string {
	text = strings.ToLower(text)
	best, bestDistance := "", 1+min(2, len(text)/2)
	for _, w := range words {
		if otherWords[text] == w {
			return w
		}
		if d := distance(text, strings.ToLower(w)); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance returns how many letters must be added, removed or changed to make b
// of a.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64 // nobody mistypes that much
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
