// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	api "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/services/events/v1"
	"github.com/containerd/containerd/api/services/namespaces/v1"
	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"waymark/classes"
)

// containerd is its own API.
type containerd struct {
	namespaces namespaces.NamespacesClient
	containers api.ContainersClient
	tasks      tasks.TasksClient
	events     events.EventsClient
}

func newContainerd(c grpc.ClientConnInterface) containerd {
	return containerd{namespaces.NewNamespacesClient(c), api.NewContainersClient(c), tasks.NewTasksClient(c), events.NewEventsClient(c)}
}

// The namespaces of containerd in which others keep what is theirs, and say
// more of it themselves: the kubelet by CRI, Docker by its own API.
const (
	kubelets = "k8s.io"
	dockers  = "moby"
)

// nerdctlName is the label by which nerdctl says a container's name; others
// name it by its id.
const nerdctlName = "nerdctl/name"

// list is the containers of all namespaces; with pods, those of the kubelet
// are known already.
func (c containerd) list(ctx context.Context, pods bool, wanted func(classes.Identity) bool) (list []Container, err error) {
	all, err := c.namespaces.List(ctx, &namespaces.ListNamespacesRequest{})
	if err != nil {
		return nil, err
	}
	for _, n := range all.GetNamespaces() {
		if name := n.GetName(); name != dockers && (name != kubelets || !pods) {
			found, err := c.in(ctx, name, wanted)
			if err != nil {
				return nil, err
			}
			list = append(list, found...)
		}
	}
	return list, nil
}

// in is the containers of one namespace.
func (c containerd) in(ctx context.Context, namespace string, wanted func(classes.Identity) bool) (list []Container, err error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
	all, err := c.containers.List(ctx, &api.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	for _, one := range all.GetContainers() {
		k := classes.Identity{Name: cmp.Or(one.GetLabels()[nerdctlName], one.GetID()), Namespace: namespace, Labels: one.GetLabels()}
		if one.GetID() == "" || !wanted(k) {
			continue
		}
		var spec ociSpec
		if text := one.GetSpec().GetValue(); len(text) > 0 {
			if err := json.Unmarshal(text, &spec); err != nil {
				return nil, fmt.Errorf("read the spec of container %s: %w", one.GetID(), err)
			}
		}
		list = append(list, Container{ID: one.GetID(), Identity: k, Cgroups: spec.cgroups()})
	}
	if list == nil {
		return nil, nil
	}
	running, err := c.running(ctx)
	for i := range list {
		list[i].PID = running[list[i].ID]
	}
	return list, err
}

// running is the first processes of a namespace's containers, by their ids.
func (c containerd) running(ctx context.Context) (pids map[string]int, err error) {
	all, err := c.tasks.List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, err
	}
	pids = map[string]int{}
	for _, t := range all.GetTasks() {
		switch t.GetStatus() {
		case task.Status_CREATED, task.Status_RUNNING, task.Status_PAUSED, task.Status_PAUSING:
			pids[t.GetID()] = int(t.GetPid())
		}
	}
	return pids, nil
}

// watch listens to the events that change what list says. The stream begins
// without a word, so what happened until it had begun is looked for once more.
func (c containerd) watch(ctx context.Context, changed func()) error {
	var filters []string
	for _, topic := range []string{"/containers/create", "/containers/update", "/containers/delete", "/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"} {
		filters = append(filters, fmt.Sprintf("topic==%q", topic))
	}
	stream, err := c.events.Subscribe(ctx, &events.SubscribeRequest{Filters: filters})
	if err != nil {
		return err
	}
	first := time.AfterFunc(pause, changed)
	defer first.Stop()
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		changed()
	}
}
