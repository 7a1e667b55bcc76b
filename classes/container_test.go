// SPDX-License-Identifier: Apache-2.0

package classes

import "testing"

func TestContainerHolds(t *testing.T) {
	labels := map[string]string{"tier": "bulk", "app.kubernetes.io/name": "web", "image": "a/b*", "empty": ""}
	for _, c := range []struct {
		match string
		pod   string
		want  bool
	}{
		{"backup-1", "", true},
		{"'backup-*'", "", true},
		{"backup", "", false},
		{"'*'", "", true},
		{"{name: backup-1, namespace: shop}", "", true},
		{"{name: backup-1, namespace: shops}", "", false},
		{"{namespace: 's[h]op', label: {app.kubernetes.io/name: web}}", "", true},
		{"{label: {tier: bulk, image: a/b*}}", "", true},
		{"{label: {tier: bulk, image: 'a/[a-c][*]'}}", "", true},
		{"{label: {tier: bulk, image: 'a*'}}", "", false},
		{"{label: {tier: bulk, other: '*'}}", "", false},
		{"{label: {image: '*', empty: '*'}}", "", true},
		{"{label: {tier: ''}}", "", false},
		{"{pod: 'web-*', namespace: shop, label: {tier: bulk}}", "web-0", true},
		{"{pod: 'web-*', namespace: shop}", "db-0", false},
		{"{pod: 'web-*', name: other}", "web-0", false},
		{"{pod: '*'}", "web-0", true},
		{"{pod: '*'}", "", false}, // that is in no pod
		{"{name: '*'}", "web-0", true},
	} {
		m := mustMatch(t, "{container: "+c.match+"}")
		if got := m.Container[0].Holds(Identity{"backup-1", c.pod, "shop", labels}); got != c.want {
			t.Errorf("%s holds: %v, want %v", c.match, got, c.want)
		}
	}
}

// TestParseContainer reads what it prints, and says what is wrong with the rest.
func TestParseContainer(t *testing.T) {
	for _, text := range []string{"backup", "{pod: 'web-*', namespace: shop}", "{label: {a/b: '', tier: bulk}}"} {
		if c, err := ParseContainer(text); err != nil || c.String() != text {
			t.Errorf("%s is read as %s: %v", text, c, err)
		}
	}
	for _, text := range []string{"", "{", "{}", "[a, b]", "{pot: web}", "{label: x}", "'[a'", "{name: a, name: b}", "a: b: c", "\x00"} {
		if c, err := ParseContainer(text); err == nil {
			t.Errorf("%q is read as %s", text, c)
		} else if err.Error() == "" {
			t.Errorf("%q is wrong without a word", text)
		}
	}
}
