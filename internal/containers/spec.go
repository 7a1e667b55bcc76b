// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"cmp"
	"io/fs"
	"path"
	"strings"

	"waymark/internal/match"
)

// ociSpec is what of a container's OCI runtime spec says where its cgroup is.
type ociSpec struct {
	Linux struct {
		CgroupsPath string `json:"cgroupsPath"`
	} `json:"linux"`
}

// cgroups is where the cgroup of such a container is made, below the root of
// its runtime's tree.
func (s ociSpec) cgroups() []match.Cgroup {
	if p := specPath(s.Linux.CgroupsPath); p != "" {
		return match.Path(p)
	}
	return nil
}

// specPath is the path of a spec's cgroupsPath, as runc and crun read it:
// "SLICE:PREFIX:NAME" with systemd's driver, a path from the root with the
// other. It is "" for one that is relative to whoever starts the container, and
// for what could be taken for a pattern of more than one.
func specPath(text string) string {
	slice, rest, ok := strings.Cut(text, ":")
	prefix, name, ok2 := strings.Cut(rest, ":")
	switch {
	case path.IsAbs(text):
		text = strings.TrimPrefix(path.Clean(text), "/")
	case ok && ok2 && name != "" && (slice == "" || strings.HasSuffix(slice, ".slice")):
		if prefix != "" {
			name = prefix + "-" + name
		}
		text = slicePath(cmp.Or(slice, "system.slice")) + name + ".scope"
	default:
		return ""
	}
	if strings.ContainsAny(text, "*?[") || !fs.ValidPath(text) || text == "." {
		return ""
	}
	return text
}

// slicePath is where systemd puts what is in a slice: a-b.slice is in a.slice,
// and -.slice is the root.
func slicePath(slice string) (dirs string) {
	if slice == "-.slice" {
		return ""
	}
	name := strings.TrimSuffix(slice, ".slice")
	for i := range name {
		if name[i] == '-' && i > 0 {
			dirs += name[:i] + ".slice/"
		}
	}
	return dirs + slice + "/"
}

// podPath is the cgroup of the pod that a sandbox or a container at a path is
// of: the one above, if it has the pod's uid in its name, as the kubelet makes
// it. What others make may be above all that runs.
func podPath(below, uid string) string {
	dir := path.Dir(below)
	name := strings.TrimSuffix(path.Base(dir), ".slice")
	for _, uid := range []string{uid, strings.ReplaceAll(uid, "-", "_")} {
		if uid != "" && strings.HasSuffix(name, "pod"+uid) {
			return dir
		}
	}
	return ""
}
