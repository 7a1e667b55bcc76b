// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"io/fs"
	"strings"
	"testing"
)

func TestSpecPath(t *testing.T) {
	for text, want := range map[string]string{
		"/docker/c":                     "docker/c",
		"/a//b/../c":                    "a/c",
		"system.slice:docker:c":         "system.slice/docker-c.scope",
		":x:c":                          "system.slice/x-c.scope",
		"user-7.slice::c":               "user.slice/user-7.slice/c.scope",
		"a-b-c.slice:x:y:z":             "a.slice/a-b.slice/a-b-c.slice/x-y:z.scope",
		"-.slice:x:c":                   "x-c.scope",
		"":                              "",
		"/":                             "",
		"relative":                      "",
		"not-a-slice:x:c":               "",
		"a.slice:x:":                    "",
		"/pods/*":                       "",
		"../x.slice:a:b":                "",
		"/kubepods.slice:x:c":           "kubepods.slice:x:c", // cgroupfs, told in systemd's words
		"kubepods-podA_B.slice:crio:id": "kubepods.slice/kubepods-podA_B.slice/crio-id.scope",
	} {
		if got := specPath(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestPodPath takes no cgroup for a pod's that has more in it.
func TestPodPath(t *testing.T) {
	for _, c := range []struct{ path, uid, want string }{
		{"kubepods/pod5/c", "5", "kubepods/pod5"},
		{"kubepods/pod15/c", "5", ""},
		{"kubepods/c", "", ""},
		{"pod/c", "", ""},
		{"c", "5", ""},
		{"", "5", ""},
	} {
		if got := podPath(c.path, c.uid); got != c.want {
			t.Errorf("%v: %q", c, got)
		}
	}
}

// FuzzSpec reads what a runtime may say: whatever it is, the path is one below
// the root and no pattern, and a pod's is above it and not the root.
func FuzzSpec(f *testing.F) {
	for _, seed := range []string{"/kubepods/pod1/c", "kubepods-pod1.slice:cri-containerd:c", ":::", "/../..", "a.slice:b:c/../../../d", "/*", `{"pid": 7, "runtimeSpec": {"linux": {"cgroupsPath": "/a"}}}`, "[", "{\"pid\": -1}"} {
		f.Add(seed, "1")
	}
	f.Fuzz(func(t *testing.T, text, uid string) {
		var d details
		_ = d.read("c", map[string]string{"info": text})
		for _, text := range []string{text, d.Spec.Linux.CgroupsPath} {
			p := specPath(text)
			if p != "" && (p == "." || !fs.ValidPath(p) || strings.ContainsAny(p, "*?[")) {
				t.Errorf("%q is %q", text, p)
			}
			if dir := podPath(p, uid); dir != "" && (dir == "." || !strings.HasPrefix(p, dir+"/") || !strings.Contains(dir, "pod")) {
				t.Errorf("the pod of %q is %q", p, dir)
			}
		}
	})
}
