// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"waymark/classes"
	"waymark/internal/match"
)

const podUID = "1fdaa1d6-2f4c-4b52-9d6e-0c1a2b3c4d5e"

func all(classes.Identity) bool { return true }

// kubernetes is a pod of two containers, one that is over, and their labels.
func kubernetes() *fakeCRI {
	meta := &api.PodSandboxMetadata{Name: "web-0", Namespace: "shop", Uid: podUID}
	return &fakeCRI{
		pods: []*api.PodSandbox{
			{Id: "p1", Metadata: meta, State: api.PodSandboxState_SANDBOX_READY, Labels: map[string]string{"app": "web"}},
			{Id: "p0", Metadata: meta, State: api.PodSandboxState_SANDBOX_NOTREADY},
		},
		containers: []*api.Container{
			{Id: "c1", PodSandboxId: "p1", Metadata: &api.ContainerMetadata{Name: "nginx"}, State: api.ContainerState_CONTAINER_RUNNING, Labels: map[string]string{"io.kubernetes.container.name": "nginx"}},
			{Id: "c2", PodSandboxId: "p1", Metadata: &api.ContainerMetadata{Name: "proxy"}, State: api.ContainerState_CONTAINER_CREATED},
			{Id: "c3", PodSandboxId: "p0", Metadata: &api.ContainerMetadata{Name: "nginx"}, State: api.ContainerState_CONTAINER_EXITED},
			{Id: "c4", PodSandboxId: "p1", Metadata: &api.ContainerMetadata{Name: "gone"}, State: api.ContainerState_CONTAINER_RUNNING},
		},
	}
}

// saying is what a runtime says of a container or sandbox whose spec has a
// cgroupsPath.
func saying(pid, path string) map[string]string {
	return map[string]string{"info": `{"pid": ` + pid + `, "sandboxID": "p1", "runtimeSpec": {"ociVersion": "1.0.2", "linux": {"cgroupsPath": "` + path + `"}}}`}
}

// TestCRI asks runtimes of both cgroup drivers, with the paths that containerd
// and CRI-O were seen to use under a kubelet.
func TestCRI(t *testing.T) {
	unit := strings.ReplaceAll(podUID, "-", "_")
	systemd := "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + unit + ".slice"
	for _, c := range []struct{ name, sandbox, container, pod, where string }{
		{"containerd, systemd", "kubepods-burstable-pod" + unit + ".slice:cri-containerd:p1", "kubepods-burstable-pod" + unit + ".slice:cri-containerd:c1",
			systemd, systemd + "/cri-containerd-c1.scope"},
		{"CRI-O, systemd", "kubepods-burstable-pod" + unit + ".slice:crio:p1", "kubepods-burstable-pod" + unit + ".slice:crio:c1",
			systemd, systemd + "/crio-c1.scope"},
		{"guaranteed, systemd", "kubepods-pod" + unit + ".slice:cri-containerd:p1", "kubepods-pod" + unit + ".slice:cri-containerd:c1",
			"kubepods.slice/kubepods-pod" + unit + ".slice", "kubepods.slice/kubepods-pod" + unit + ".slice/cri-containerd-c1.scope"},
		{"containerd, cgroupfs", "/kubepods/burstable/pod" + podUID + "/p1", "/kubepods/burstable/pod" + podUID + "/c1",
			"kubepods/burstable/pod" + podUID, "kubepods/burstable/pod" + podUID + "/c1"},
		{"CRI-O, cgroupfs", "/kubepods/besteffort/pod" + podUID + "/crio-p1", "/kubepods/besteffort/pod" + podUID + "/crio-c1",
			"kubepods/besteffort/pod" + podUID, "kubepods/besteffort/pod" + podUID + "/crio-c1"},
		{"crictl, without a parent", "/k8s.io/p1", "/k8s.io/c1", "", "k8s.io/c1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := kubernetes()
			f.info = map[string]map[string]string{"p1": saying("70", c.sandbox), "c1": saying("71", c.container), "c2": {}}
			got, _, err := serveRPC(t, f.offer).List(context.Background(), all)
			if err != nil {
				t.Fatal(err)
			}
			labels := map[string]string{"app": "web"}
			want := []Container{
				{ID: "p1", Identity: classes.Identity{Pod: "web-0", Namespace: "shop", Labels: labels}},
				{ID: "c1", Identity: classes.Identity{Name: "nginx", Pod: "web-0", Namespace: "shop", Labels: map[string]string{"app": "web", "io.kubernetes.container.name": "nginx"}}, PID: 71, Cgroups: match.Path(c.where)},
				{ID: "c2", Identity: classes.Identity{Name: "proxy", Pod: "web-0", Namespace: "shop", Labels: labels}},
			}
			if c.pod != "" {
				want[0].Cgroups = match.Path(c.pod)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("containers (-want +got):\n%s", diff)
			}
		})
	}
}

// TestContainerdList has namespaces of its own, Docker's and the kubelet's,
// where CRI is served and where it is not.
func TestContainerdList(t *testing.T) {
	spec := func(path string) *anypb.Any {
		return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec", Value: []byte(`{"linux": {"cgroupsPath": "` + path + `"}}`)}
	}
	f := &fakeContainerd{
		containers: map[string][]*containersapi.Container{
			"default": {{ID: "backup", Spec: spec("/default/backup")}, {ID: "9f3c", Labels: map[string]string{"nerdctl/name": "web"}, Spec: spec("system.slice:nerdctl:9f3c")}, {ID: "odd"}},
			"moby":    {{ID: "d0c5", Spec: spec("/docker/d0c5")}},
			"k8s.io":  {{ID: "c1", Spec: spec("/kubepods/pod1/c1")}},
		},
		tasks: &tasks.ListTasksResponse{Tasks: []*task.Process{{ID: "backup", Pid: 7, Status: task.Status_RUNNING}, {ID: "9f3c", Pid: 8, Status: task.Status_STOPPED}}},
	}
	own := []Container{
		{ID: "backup", Identity: classes.Identity{Name: "backup", Namespace: "default"}, PID: 7, Cgroups: match.Path("default/backup")},
		{ID: "9f3c", Identity: classes.Identity{Name: "web", Namespace: "default", Labels: map[string]string{"nerdctl/name": "web"}}, Cgroups: match.Path("system.slice/nerdctl-9f3c.scope")},
		{ID: "odd", Identity: classes.Identity{Name: "odd", Namespace: "default"}},
	}
	got, _, err := serveRPC(t, f.offer).List(context.Background(), all)
	slices.SortFunc(got, func(a, b Container) int { return strings.Compare(a.Namespace, b.Namespace) })
	if diff := cmp.Diff(append(own, Container{ID: "c1", Identity: classes.Identity{Name: "c1", Namespace: "k8s.io"}, Cgroups: match.Path("kubepods/pod1/c1")}), got); diff != "" || err != nil {
		t.Errorf("without CRI: %v, containers (-want +got):\n%s", err, diff)
	}
	got, _, err = serveRPC(t, f.offer, (&fakeCRI{}).offer).List(context.Background(), all)
	if diff := cmp.Diff(own, got); diff != "" || err != nil {
		t.Errorf("with CRI: %v, containers (-want +got):\n%s", err, diff)
	}
}

// TestRPCFails has runtimes that say no, nonsense, or half of it.
func TestRPCFails(t *testing.T) {
	busy := kubernetes()
	busy.err = status.Error(codes.Unknown, "server is not initialized yet")
	garbage := kubernetes()
	garbage.info = map[string]map[string]string{"p1": {"info": "{"}, "c1": {"info": `{"pid": "x"}`}}
	halfSpec := &fakeContainerd{containers: map[string][]*containersapi.Container{"a": {{ID: "x", Spec: &anypb.Any{Value: []byte("[")}}}}}
	for want, r := range map[string]Runtime{
		"it speaks neither":         serveRPC(t),
		"server is not initialized": serveRPC(t, busy.offer),
		"read what is said of":      serveRPC(t, garbage.offer),
		"read the spec of":          serveRPC(t, halfSpec.offer),
	} {
		got, _, err := r.List(context.Background(), all)
		if err == nil || errors.Is(err, Absent) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "rpc error") {
			t.Errorf("want %q: %v, %v", want, got, err)
		}
	}
	empty := &fakeCRI{pods: []*api.PodSandbox{nil, {}, {Id: "p"}}, containers: []*api.Container{{}, {Id: "c", PodSandboxId: "none"}}}
	empty.info = map[string]map[string]string{"p": nil, "c": {"info": "{}"}}
	if got, _, err := serveRPC(t, empty.offer).List(context.Background(), all); err != nil || len(got) != 2 {
		t.Errorf("of half answers: %v, %v", got, err)
	}
}

// TestHangs has runtimes that take what is said and are silent, or stop in the
// middle: List ends when its context does, and says so.
func TestHangs(t *testing.T) {
	for _, said := range []string{"", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "HTTP/1.1 200 OK\r\nApi-Ver", "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n\r\n"} {
		r := socket(t)
		l, err := net.Listen("unix", r.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				// What comes before a question is taken for no answer, but for a fault.
				if _, err := c.Read(make([]byte, 1)); err == nil {
					_, _ = c.Write([]byte(said))
				}
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		got, _, err := r.List(ctx, all)
		if cancel(); got != nil || err == nil || !strings.Contains(err.Error(), "did not answer within") || !errors.Is(err, Silent) {
			t.Errorf("after %q: %v, %v", said, got, err)
		}
	}
}

// TestDeadlineThere has a runtime that ends a call in our stead.
func TestDeadlineThere(t *testing.T) {
	for _, code := range []codes.Code{codes.DeadlineExceeded, codes.Canceled} {
		k := kubernetes()
		k.err = status.Error(code, "stream terminated")
		if _, _, err := serveRPC(t, k.offer).List(context.Background(), all); !errors.Is(err, Silent) {
			t.Errorf("%v: %v", code, err)
		}
	}
}

// TestWatchRPC hears containerd's events, and sees what becomes of pods where
// there are none.
func TestWatchRPC(t *testing.T) {
	f := &fakeContainerd{events: make(chan struct{}, 2)}
	f.events <- struct{}{}
	f.events <- struct{}{}
	close(f.events)
	heard := 0
	if err := serveRPC(t, f.offer).Watch(context.Background(), func() { heard++ }); heard != 2 || err == nil {
		t.Errorf("heard %d times of containerd, and the end is %v", heard, err)
	}
	k := kubernetes()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	heard = 0
	if err := serveRPC(t, k.offer).Watch(ctx, func() {
		if heard++; heard == 1 {
			k.containers = k.containers[:1]
		} else {
			cancel()
		}
	}); heard != 2 || err != nil {
		t.Errorf("heard %d times of pods, and the end is %v", heard, err)
	}
}
