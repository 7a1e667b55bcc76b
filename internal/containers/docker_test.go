// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/classes"
	"waymark/internal/match"
)

// busy is the answer of a runtime that works on the container, and gives none.
const busy = "busy"

// serve answers at a socket as a runtime does, until the test ends.
func serve(t *testing.T, answers map[string]string, header string) Runtime {
	t.Helper()
	dir, err := os.MkdirTemp("", "waymark-runtime-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := Runtime{filepath.Join(dir, "socket")}
	l, err := net.Listen("unix", r.Socket)
	if err != nil {
		t.Fatal(err)
	}
	s := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		text, ok := answers[q.URL.Path]
		if text == busy {
			<-q.Context().Done()
			return
		}
		w.Header().Set("Api-Version", "1.41")
		ok = ok || q.URL.Path == "/_ping"
		if header != "" {
			w.Header().Set(header, "4.3.1")
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			text = `{"message": "no such container"}`
		}
		fmt.Fprint(w, text)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return r
}

const listed = `[
	{"Id": "a1", "Names": ["/web/alias", "/db"], "Labels": {"tier": "bulk"}, "State": "running"},
	{"Id": "b2", "Names": ["/web"], "Labels": {"io.kubernetes.pod.namespace": "shop"}, "State": "created"},
	{"Id": "c3", "Names": ["/gone"], "Labels": {}, "State": "exited"},
	{"Id": "d4", "Names": ["/other"], "Labels": {}, "State": "running"}]`

// TestList asks runtimes of each kind for all containers but one.
func TestList(t *testing.T) {
	for _, c := range []struct {
		name, info, header string
		first, second      []match.Cgroup
	}{
		{"docker, systemd", `{"CgroupDriver": "systemd"}`, "", []match.Cgroup{{Unit: "docker-a1.scope"}}, []match.Cgroup{{Unit: "docker-b2.scope"}}},
		{"docker, cgroupfs", `{"CgroupDriver": "cgroupfs"}`, "", []match.Cgroup{{Path: "docker/a1"}}, []match.Cgroup{{Path: "app.slice/deep/b2"}}},
		{"podman, systemd", `{"CgroupDriver": "systemd"}`, "Libpod-API-Version",
			[]match.Cgroup{{Unit: "libpod-a1.scope"}, {Path: "*.slice/*.service/libpod-payload-a1"}},
			[]match.Cgroup{{Unit: "libpod-b2.scope"}, {Path: "*.slice/*.service/libpod-payload-b2"}}},
		{"podman, cgroupfs", `{"CgroupDriver": "cgroupfs"}`, "Libpod-API-Version", []match.Cgroup{{Path: "libpod_parent/libpod-a1"}}, []match.Cgroup{{Path: "app.slice/deep/libpod-b2"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, map[string]string{
				"/info": c.info, "/containers/json": listed,
				"/containers/a1/json": `{"State": {"Pid": 77}, "HostConfig": {"CgroupParent": ""}}`,
				"/containers/b2/json": `{"State": {"Pid": 0}, "HostConfig": {"CgroupParent": "/app.slice/deep"}}`,
			}, c.header)
			got, pid, err := r.List(context.Background(), func(c classes.Identity) bool { return c.Name != "other" })
			if err != nil || pid != os.Getpid() {
				t.Fatalf("of process %d: %v", pid, err)
			}
			want := []Container{
				{ID: "a1", Identity: classes.Identity{Name: "db", Labels: map[string]string{"tier": "bulk"}}, PID: 77, Cgroups: c.first},
				{ID: "b2", Identity: classes.Identity{Name: "web", Namespace: "shop", Labels: map[string]string{podNamespace: "shop"}}, Cgroups: c.second},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("containers (-want +got):\n%s", diff)
			}
		})
	}
}

// TestListBusy has a runtime that starts one container and copies from another
// meanwhile: the one is where it will be, and nobody is told of the other that it moved.
func TestListBusy(t *testing.T) {
	r := serve(t, map[string]string{"/info": `{"CgroupDriver": "cgroupfs"}`, "/containers/json": listed,
		"/containers/a1/json": busy, "/containers/b2/json": busy,
		"/containers/d4/json": `{"State": {"Pid": 77}, "HostConfig": {"CgroupParent": "app.slice"}}`}, "")
	got, _, err := r.List(context.Background(), func(classes.Identity) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Identity = classes.Identity{}
	}
	want := []Container{
		{ID: "a1", Cgroups: match.Path("docker/a1"), Guessed: true},
		{ID: "b2", Cgroups: match.Path("docker/b2"), Guessed: true},
		{ID: "d4", Cgroups: match.Path("app.slice/d4"), PID: 77},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

// TestListFails has runtimes that are not there, and ones that answer nonsense.
func TestListFails(t *testing.T) {
	all := func(classes.Identity) bool { return true }
	if _, _, err := (Runtime{"/nowhere/socket"}).List(context.Background(), all); !errors.Is(err, Absent) {
		t.Errorf("without a socket: %v", err)
	}
	for _, answers := range []map[string]string{
		{}, {"/info": "{}"}, {"/info": "nonsense"}, {"/info": "{}", "/containers/json": `{"not": "a list"}`},
		{"/info": "{}", "/containers/json": listed, "/containers/a1/json": "["},
	} {
		r := serve(t, answers, "")
		if got, _, err := r.List(context.Background(), all); err == nil || errors.Is(err, Absent) {
			t.Errorf("%v: %v, %v", answers, got, err)
		}
	}
}

// TestWatch hears of what there is when it begins, and of every event.
func TestWatch(t *testing.T) {
	r := serve(t, map[string]string{"/events": "{\"Action\": \"create\"}\n{\"Action\": \"start\"}\n"}, "")
	heard := 0
	if err := r.Watch(context.Background(), func() { heard++ }); heard != 3 || err == nil {
		t.Errorf("heard %d times, and the end is %v", heard, err)
	}
}
