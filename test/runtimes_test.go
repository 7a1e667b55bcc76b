// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"waymark/internal/lab"
)

// A fakeRuntime has one container of Docker's, or one pod of Kubernetes'.
type fakeRuntime struct {
	cri.UnimplementedRuntimeServiceServer
	socket string
	silent atomic.Bool // it hangs
	over   chan struct{}
}

// fakeRuntime listens at a socket until the test ends.
func newFakeRuntime(t *testing.T, serve func(*fakeRuntime, net.Listener)) *fakeRuntime {
	t.Helper()
	dir := must[string](t)(os.MkdirTemp("", "waymark-runtime-"))
	f := &fakeRuntime{socket: filepath.Join(dir, "socket"), over: make(chan struct{})}
	l := must[net.Listener](t)(net.Listen("unix", f.socket))
	go serve(f, l)
	t.Cleanup(func() {
		close(f.over)
		l.Close()
		os.RemoveAll(dir)
	})
	return f
}

// hang waits for the end of the test where the runtime is silent.
func (f *fakeRuntime) hang() {
	if f.silent.Load() {
		<-f.over
	}
}

// docker is a container "backup", which is not running.
func (f *fakeRuntime) docker(l net.Listener) {
	answers := map[string]string{"/_ping": "OK", "/info": `{"CgroupDriver": "cgroupfs"}`,
		"/containers/json": `[{"Id": "d1", "Names": ["/backup"]}]`, "/containers/d1/json": `{"State": {"Pid": 0}, "HostConfig": {}}`}
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		f.hang()
		w.Header().Set("Api-Version", "1.41")
		fmt.Fprint(w, answers[q.URL.Path])
	}))
}

// kubernetes is a pod shop/web-0, whose cgroup systemd made.
func (f *fakeRuntime) kubernetes(l net.Listener) {
	s := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(s, f)
	_ = s.Serve(l)
}

const podSlice = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8a1f_01.slice"

func (f *fakeRuntime) ListPodSandbox(context.Context, *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	f.hang()
	return &cri.ListPodSandboxResponse{Items: []*cri.PodSandbox{{Id: "p1", Metadata: &cri.PodSandboxMetadata{Name: "web-0", Namespace: "shop", Uid: "8a1f-01"}}}}, nil
}

func (f *fakeRuntime) ListContainers(context.Context, *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	return &cri.ListContainersResponse{}, nil
}

func (f *fakeRuntime) PodSandboxStatus(context.Context, *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	return &cri.PodSandboxStatusResponse{Info: map[string]string{"info": `{"runtimeSpec": {"linux": {"cgroupsPath": "kubepods-burstable-pod8a1f_01.slice:cri-containerd:p1"}}}`}}, nil
}

// TestRuntimes has several at once, before one and then all of them hang,
// answer nonsense, or are gone: what they had stays where it was, and the
// others are heard.
func TestRuntimes(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	docker, kubernetes := newFakeRuntime(t, (*fakeRuntime).docker), newFakeRuntime(t, (*fakeRuntime).kubernetes)
	gone := filepath.Join(filepath.Dir(docker.socket), "gone")
	policy := fmt.Sprintf("containers: {sockets: ['unix://%s', 'unix://%s', 'unix://%s']}\n", docker.socket, kubernetes.socket, gone) + threeUplinks + `
classes:
  - {name: tuple, route: [c], match: [{dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: backup, route: [b], otherwise: unreachable, match: [{container: backup}]}
  - {name: web, route: [c], match: [{container: {pod: 'web-*', namespace: shop}}]}
`
	s.apply(t, policy)
	in := func(cgroup string) container {
		return func(args ...string) (string, error) {
			out, err := s.Host.Command("busybox", append([]string{filepath.Base(args[0])}, args[1:]...)...).In(cgroup).Output()
			return string(out), err
		}
	}
	check := func(when string) {
		t.Helper()
		s.goesBy(t, "Docker's, "+when, in("docker/d1"), byB, byC)
		s.goesBy(t, "a pod's, "+when, in(podSlice+"/cri-containerd-c1.scope"), byC, byC)
	}
	check("from the first")
	before := s.lines(t, policy)
	same := func(when string, complaints ...string) {
		t.Helper()
		s.reapply(t)
		if diff := cmp.Diff(before, s.lines(t, policy), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Errorf("%s matches become (- before, + now)\n%s", when, diff)
		}
		waiting := s.status(t).Waiting
		for i, want := range complaints {
			if len(waiting) != len(complaints) || !strings.Contains(waiting[i], want) || !strings.Contains(waiting[i], "as it was") {
				t.Errorf("%s the policy waits for %q, not %q", when, waiting, want)
			}
		}
	}
	same("while one is gone", gone)
	docker.silent.Store(true)
	same("while Docker hangs", docker.socket+": it did not answer within 3s", gone)
	kubernetes.silent.Store(true)
	same("while both hang", docker.socket+": it did not answer within 3s", kubernetes.socket+": it did not answer within 3s", gone)
	check("while both hang")
	move(t, docker.socket, docker.socket+"-away")
	must[struct{}](t)(struct{}{}, os.WriteFile(docker.socket, []byte("no socket"), 0o600))
	same("while Docker's socket is a file", docker.socket, kubernetes.socket, gone)
}
