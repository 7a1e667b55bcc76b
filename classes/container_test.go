// SPDX-License-Identifier: Apache-2.0

package classes

import "testing"

func TestContainerHolds(t *testing.T) {
	labels := map[string]string{"tier": "bulk", "app.kubernetes.io/name": "web", "image": "a/b*", "empty": ""}
	for _, c := range []struct {
		match string
		want  bool
	}{
		{"backup-1", true},
		{"'backup-*'", true},
		{"backup", false},
		{"'*'", true},
		{"{name: backup-1, namespace: shop}", true},
		{"{name: backup-1, namespace: shops}", false},
		{"{namespace: 's[h]op', label: {app.kubernetes.io/name: web}}", true},
		{"{label: {tier: bulk, image: a/b*}}", true},
		{"{label: {tier: bulk, image: 'a/[a-c][*]'}}", true},
		{"{label: {tier: bulk, image: 'a*'}}", false},
		{"{label: {tier: bulk, other: '*'}}", false},
		{"{label: {image: '*', empty: '*'}}", true},
		{"{label: {tier: ''}}", false},
	} {
		m := mustMatch(t, "{container: "+c.match+"}")
		if got := m.Container[0].Holds("backup-1", "shop", labels); got != c.want {
			t.Errorf("%s holds: %v, want %v", c.match, got, c.want)
		}
	}
}
