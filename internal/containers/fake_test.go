// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/services/events/v1"
	"github.com/containerd/containerd/api/services/namespaces/v1"
	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// socket is a short path for a runtime's socket.
func socket(t testing.TB) Runtime {
	t.Helper()
	dir, err := os.MkdirTemp("", "waymark-runtime-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Runtime{filepath.Join(dir, "socket")}
}

// serveRPC answers at a socket as a runtime that speaks gRPC, until the test ends.
func serveRPC(t testing.TB, offer ...func(*grpc.Server)) Runtime {
	t.Helper()
	r := socket(t)
	l, err := net.Listen("unix", r.Socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	for _, o := range offer {
		o(s)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return r
}

// fakeCRI is a runtime of Kubernetes'. Its answers may change while it is asked.
type fakeCRI struct {
	api.UnimplementedRuntimeServiceServer
	pods       []*api.PodSandbox
	containers []*api.Container
	info       map[string]map[string]string // by id: what it says beyond the interface
	err        error                        // of every call
}

func (f *fakeCRI) offer(s *grpc.Server) { api.RegisterRuntimeServiceServer(s, f) }

func (f *fakeCRI) ListPodSandbox(context.Context, *api.ListPodSandboxRequest) (*api.ListPodSandboxResponse, error) {
	return &api.ListPodSandboxResponse{Items: f.pods}, f.err
}

func (f *fakeCRI) ListContainers(context.Context, *api.ListContainersRequest) (*api.ListContainersResponse, error) {
	return &api.ListContainersResponse{Containers: f.containers}, f.err
}

func (f *fakeCRI) PodSandboxStatus(_ context.Context, q *api.PodSandboxStatusRequest) (*api.PodSandboxStatusResponse, error) {
	info, err := f.said(q.PodSandboxId, q.Verbose)
	return &api.PodSandboxStatusResponse{Info: info}, err
}

func (f *fakeCRI) ContainerStatus(_ context.Context, q *api.ContainerStatusRequest) (*api.ContainerStatusResponse, error) {
	info, err := f.said(q.ContainerId, q.Verbose)
	return &api.ContainerStatusResponse{Info: info}, err
}

// said is what a runtime says of one: nothing of one that is gone, and nothing
// beyond the interface to who does not ask.
func (f *fakeCRI) said(id string, verbose bool) (map[string]string, error) {
	info, ok := f.info[id]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "an error occurred when try to find %q: not found", id)
	}
	if !verbose {
		return nil, nil
	}
	return info, nil
}

// fakeContainerd has containers by namespace.
type fakeContainerd struct {
	namespaces.UnimplementedNamespacesServer
	containers map[string][]*containersapi.Container
	tasks      *tasks.ListTasksResponse // of every namespace
	events     chan struct{}            // one each
}

func (f *fakeContainerd) offer(s *grpc.Server) {
	namespaces.RegisterNamespacesServer(s, f)
	containersapi.RegisterContainersServer(s, fakeContainers{fake: f})
	tasks.RegisterTasksServer(s, fakeTasks{fake: f})
	events.RegisterEventsServer(s, fakeEvents{fake: f})
}

func (f *fakeContainerd) List(context.Context, *namespaces.ListNamespacesRequest) (*namespaces.ListNamespacesResponse, error) {
	answer := &namespaces.ListNamespacesResponse{}
	for name := range f.containers {
		answer.Namespaces = append(answer.Namespaces, &namespaces.Namespace{Name: name})
	}
	return answer, nil
}

type fakeContainers struct {
	containersapi.UnimplementedContainersServer
	fake *fakeContainerd
}

func (f fakeContainers) List(ctx context.Context, _ *containersapi.ListContainersRequest) (*containersapi.ListContainersResponse, error) {
	asked, _ := metadata.FromIncomingContext(ctx)
	namespace := asked.Get("containerd-namespace")
	if len(namespace) != 1 {
		return nil, status.Error(codes.FailedPrecondition, "namespace is required")
	}
	return &containersapi.ListContainersResponse{Containers: f.fake.containers[namespace[0]]}, nil
}

type fakeTasks struct {
	tasks.UnimplementedTasksServer
	fake *fakeContainerd
}

func (f fakeTasks) List(context.Context, *tasks.ListTasksRequest) (*tasks.ListTasksResponse, error) {
	return f.fake.tasks, nil
}

type fakeEvents struct {
	events.UnimplementedEventsServer
	fake *fakeContainerd
}

func (f fakeEvents) Subscribe(_ *events.SubscribeRequest, stream events.Events_SubscribeServer) error {
	for range f.fake.events {
		if err := stream.Send(&types.Envelope{Namespace: "k8s.io", Topic: "/tasks/start"}); err != nil {
			return err
		}
	}
	return nil
}
