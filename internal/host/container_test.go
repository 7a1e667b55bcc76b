// SPDX-License-Identifier: Apache-2.0

package host

import "testing"

// TestUpTo takes paths as Docker, Podman, CRI-O and the kubelet make them, by
// both cgroup drivers.
func TestUpTo(t *testing.T) {
	for path, want := range map[string]string{
		"docker/ID":                               "docker/ID",
		"system.slice/docker-ID.scope":            "system.slice/docker-ID.scope",
		"system.slice/docker-ID.scope/init.scope": "system.slice/docker-ID.scope",
		"machine.slice/libpod-ID.scope/container": "machine.slice/libpod-ID.scope",
		"user.slice/user-7.slice/user@7.service/user.slice/libpod-ID.scope/container": "user.slice/user-7.slice/user@7.service/user.slice/libpod-ID.scope",
		"kubepods/burstable/pod5/ID":                                 "kubepods/burstable/pod5/ID",
		"kubepods.slice/kubepods-pod5.slice/cri-containerd-ID.scope": "kubepods.slice/kubepods-pod5.slice/cri-containerd-ID.scope",
		"kubepods.slice/kubepods-pod5.slice/crio-ID.scope/container": "kubepods.slice/kubepods-pod5.slice/crio-ID.scope",
		"kubepods/pod5/kubepods-pod5.slice:cri-containerd:ID":        "kubepods/pod5/kubepods-pod5.slice:cri-containerd:ID",
		"ID/ID":                      "ID/ID", // containerd's namespace, and an id like it
		"machine/ID-2/x":             "",
		"my.slice/myID/x":            "",
		"user.slice/session-1.scope": "", // without a cgroup of its own
		"":                           "",
	} {
		if got := upTo(path, "ID"); got != want {
			t.Errorf("of %s it is %q, want %q", path, got, want)
		}
	}
	if got := upTo("a/b", ""); got != "" {
		t.Errorf("without an id it is %q", got)
	}
}
