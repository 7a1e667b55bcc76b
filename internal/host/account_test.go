// SPDX-License-Identifier: Apache-2.0

package host

import "testing"

func TestAccountOf(t *testing.T) {
	if got, want := AccountOf(0), (Account{"root", "/root", "/bin/bash"}); got.Name != want.Name || got.Home != want.Home {
		t.Errorf("root is %+v, want %+v", got, want)
	}
	if got, want := AccountOf(4294967000), (Account{"4294967000", "/", "/bin/sh"}); got != want {
		t.Errorf("a uid that nobody has is %+v, want %+v", got, want)
	}
}

func TestShellIn(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\nshort:x:1\nbare:x:2:2::/:\nlast:x:3:3::/:/bin/ksh"
	for name, want := range map[string]string{"root": "/bin/bash", "short": "", "bare": "", "last": "/bin/ksh", "none": ""} {
		if got := shellIn(passwd, name); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
}
