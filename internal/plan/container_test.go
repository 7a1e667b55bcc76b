// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/classes"
	"waymark/internal/match"
)

const contained = `
uplinks: [{name: fiber, interface: eth0}]
classes:
  - {name: bulk, route: [fiber], match: [{container: [db, {label: {tier: bulk}}]}, {container: {namespace: shop}}]}
`

// TestContainers gives a match the cgroups of all containers that it names,
// and one that names none no cgroup, and not all.
func TestContainers(t *testing.T) {
	h := newHost()
	h.link("eth0", "192.0.2.2/24")
	h.Mute = []string{"podman does not answer"}
	h.Containers = []Container{
		{ID: "0123456789abcdef", Identity: classes.Identity{Name: "db"}, Cgroups: match.Path("docker/01")},
		{ID: "02", Identity: classes.Identity{Name: "web", Labels: map[string]string{"tier": "bulk"}}, Cgroups: []match.Cgroup{{Unit: "libpod-02.scope"}, {Path: "*.slice/*.service/x"}}},
		{ID: "03", Identity: classes.Identity{Name: "web", Labels: map[string]string{"tier": "none"}}, Cgroups: match.Path("docker/03")},
	}
	override := Override{Subject: "container:web", Match: classes.Match{Container: []classes.Container{{Name: "web"}}}, To: classes.Unclassed}
	p, err := Make(parse(t, contained), h.Facts, Numbers{}, Options{CgroupRoot: "/cg", Overrides: []Override{override}})
	if err != nil {
		t.Fatal(err)
	}
	var cgroups [][]match.Cgroup
	var names [][]string
	for _, l := range p.Lines {
		cgroups, names = append(cgroups, l.Match.Cgroup), append(names, l.Containers)
	}
	second := h.Containers[1].Cgroups
	if diff := cmp.Diff([][]match.Cgroup{append(second[:2:2], match.Path("docker/03")...), append(match.Path("docker/01"), second...), {{}}}, cgroups); diff != "" {
		t.Errorf("cgroups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"web (02)", "web (03)"}, {"db (0123456789ab)", "web (02)"}, nil}, names); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	want := []string{"podman does not answer", "no container is {namespace: shop} yet: its match takes nothing"}
	if diff := cmp.Diff(want, p.Waiting[:min(2, len(p.Waiting))]); diff != "" {
		t.Errorf("it waits for (-want +got):\n%s", diff)
	}
	if w := p.Winner(match.Flow{Cgroup: "elsewhere"}); w != nil {
		t.Errorf("a match of no container wins: %s", w.Text)
	}
}

// TestPods gives a match that names a pod the pod's cgroup, and none below it.
func TestPods(t *testing.T) {
	h := newHost()
	h.link("eth0", "192.0.2.2/24")
	in := func(name string) classes.Identity {
		return classes.Identity{Name: name, Pod: "web-0", Namespace: "shop"}
	}
	h.Containers = []Container{
		{ID: "01", Identity: in(""), Cgroups: match.Path("kubepods.slice/kubepods-pod1.slice")},
		{ID: "02", Identity: in("nginx"), Cgroups: match.Path("kubepods.slice/kubepods-pod1.slice/cri-containerd-02.scope")},
		{ID: "03", Identity: classes.Identity{Name: "nginx", Namespace: "shop"}, Cgroups: match.Path("kubepods.slice/kubepods-pod10.slice")},
	}
	for said, want := range map[string][]match.Cgroup{
		"{pod: web-0}":                  match.Path("kubepods.slice/kubepods-pod1.slice"),
		"{pod: web-0, name: nginx}":     match.Path("kubepods.slice/kubepods-pod1.slice/cri-containerd-02.scope"),
		"{namespace: shop}":             append(match.Path("kubepods.slice/kubepods-pod1.slice"), match.Path("kubepods.slice/kubepods-pod10.slice")...),
		"[{pod: web-0}, {name: nginx}]": append(match.Path("kubepods.slice/kubepods-pod1.slice"), append(match.Path("kubepods.slice/kubepods-pod1.slice/cri-containerd-02.scope"), match.Path("kubepods.slice/kubepods-pod10.slice")...)...),
		"{pod: 'db-*'}":                 {{}},
	} {
		p, err := Make(parse(t, "uplinks: [{name: fiber, interface: eth0}]\nclasses: [{name: bulk, route: [fiber], match: [{container: "+said+"}]}]\n"), h.Facts, Numbers{}, Options{CgroupRoot: "/cg"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Lines[0].Match.Cgroup); diff != "" {
			t.Errorf("cgroups of %s (-want +got):\n%s", said, diff)
		}
	}
	if got := fmt.Sprint(h.Containers); got != "[shop/web-0 (01) shop/web-0/nginx (02) shop/nginx (03)]" {
		t.Errorf("they print as %s", got)
	}
}
