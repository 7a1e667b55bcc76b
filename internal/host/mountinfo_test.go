// SPDX-License-Identifier: Apache-2.0

package host

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

const hybrid = `23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 master:3 - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,nosuid shared:11 - cgroup2 cgroup2 rw
`

const container = `27 1 254:0 / / rw - overlay overlay rw
41 27 0:38 /docker/4f5e /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
44 27 0:38 / /mnt/all\040cgroups rw - cgroup2 none rw,nsdelegate
50 27 0:39 / /sys/fs/bpf rw - bpf waymark rw,mode=700
`

func TestParseMounts(t *testing.T) {
	got, err := parseMounts([]byte(container))
	if err != nil {
		t.Fatal(err)
	}
	want := []mount{
		{"/", "/", "overlay", "overlay"},
		{"/docker/4f5e", "/sys/fs/cgroup", "cgroup2", "cgroup"},
		{"/", "/mnt/all cgroups", "cgroup2", "none"},
		{"/", "/sys/fs/bpf", "bpf", "waymark"},
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(mount{})); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}

func TestBrokenMountsAreErrors(t *testing.T) {
	for name, line := range map[string]string{
		"empty line":     "\n",
		"no separator":   "23 27 0:22 / /sys rw,relatime sysfs sysfs rw\n",
		"too few fields": "23 27 0:22 / /sys - sysfs sysfs rw\n",
		"no source":      "23 27 0:22 / /sys rw - sysfs\n",
	} {
		if got, err := parseMounts([]byte(hybrid + line)); err == nil {
			t.Errorf("%s: parsed %v", name, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for escaped, want := range map[string]string{
		`plain`:                "plain",
		`a\040b\011c\012d\134`: "a b\tc\nd\\",
		`\0401`:                " 1",
		`\04`:                  `\04`,
		`\09a`:                 `\09a`,
		`\777`:                 `\777`,
		`\134040`:              `\040`,
	} {
		if got := unescape(escaped); got != want {
			t.Errorf("unescape(%q) is %q, want %q", escaped, got, want)
		}
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte(hybrid))
	f.Add([]byte(container))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseMounts(text)
		if err != nil && all != nil {
			t.Errorf("mounts %v and an error", all)
		}
		for _, m := range all {
			if len(m.point) > len(text) {
				t.Errorf("a mount point longer than the text: %q", m.point)
			}
		}
	})
}
