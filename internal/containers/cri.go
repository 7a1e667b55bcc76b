// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"

	"waymark/classes"
	"waymark/internal/match"
)

// cri is Kubernetes' Container Runtime Interface.
type cri struct{ api.RuntimeServiceClient }

func newCRI(c grpc.ClientConnInterface) cri { return cri{api.NewRuntimeServiceClient(c)} }

// list is the pods that are ready, and the containers that run or will: one
// that has ended is never started again, another takes its place.
func (c cri) list(ctx context.Context, wanted func(classes.Identity) bool) (list []Container, err error) {
	pods, containers, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	var ask []question
	add := func(id string, k classes.Identity, more question) {
		if id != "" && wanted(k) {
			list, ask = append(list, Container{ID: id, Identity: k}), append(ask, more)
		}
	}
	by := map[string]*api.PodSandbox{}
	for _, p := range pods {
		by[p.GetId()] = p
		if p.GetState() == api.PodSandboxState_SANDBOX_READY {
			add(p.GetId(), of(p, nil), c.pod(p))
		}
	}
	for _, k := range containers {
		if s := k.GetState(); s == api.ContainerState_CONTAINER_CREATED || s == api.ContainerState_CONTAINER_RUNNING {
			add(k.GetId(), of(by[k.GetPodSandboxId()], k), c.container)
		}
	}
	return each(ctx, list, func(i int) question { return ask[i] })
}

func (c cri) all(ctx context.Context) ([]*api.PodSandbox, []*api.Container, error) {
	pods, err := c.ListPodSandbox(ctx, &api.ListPodSandboxRequest{})
	if err != nil {
		return nil, nil, err
	}
	containers, err := c.ListContainers(ctx, &api.ListContainersRequest{})
	return pods.GetItems(), containers.GetContainers(), err
}

// of is what is said of a container in a pod, or of the pod without one.
func of(p *api.PodSandbox, k *api.Container) classes.Identity {
	labels := map[string]string{}
	maps.Copy(labels, p.GetLabels())
	maps.Copy(labels, k.GetLabels())
	m := p.GetMetadata()
	return classes.Identity{Name: k.GetMetadata().GetName(), Pod: m.GetName(), Namespace: m.GetNamespace(), Labels: labels}
}

// details is what containerd and CRI-O alike say beyond the interface.
type details struct {
	PID  int     `json:"pid"`
	Spec ociSpec `json:"runtimeSpec"`
}

func (d *details) read(id string, info map[string]string) error {
	if text := info["info"]; text != "" {
		if err := json.Unmarshal([]byte(text), d); err != nil {
			return fmt.Errorf("read what is said of %s: %w", id, err)
		}
	}
	return nil
}

func goneOr(err error) error {
	if status.Code(err) == codes.NotFound {
		return errGone
	}
	return err
}

func (c cri) container(ctx context.Context, k *Container) error {
	answer, err := c.ContainerStatus(ctx, &api.ContainerStatusRequest{ContainerId: k.ID, Verbose: true})
	if err != nil {
		return goneOr(err)
	}
	var d details
	err = d.read(k.ID, answer.GetInfo())
	k.PID, k.Cgroups = max(0, d.PID), d.Spec.cgroups()
	return err
}

// pod asks where a pod is: above its sandbox. It is no process's cgroup, so
// PID stays 0.
func (c cri) pod(p *api.PodSandbox) question {
	return func(ctx context.Context, k *Container) error {
		answer, err := c.PodSandboxStatus(ctx, &api.PodSandboxStatusRequest{PodSandboxId: k.ID, Verbose: true})
		if err != nil {
			return goneOr(err)
		}
		var d details
		err = d.read(k.ID, answer.GetInfo())
		if dir := podPath(specPath(d.Spec.Linux.CgroupsPath), p.GetMetadata().GetUid()); dir != "" {
			k.Cgroups = match.Path(dir)
		}
		return err
	}
}

// watch looks again and again.
func (c cri) watch(ctx context.Context, changed func()) error {
	var before []string
	for first := true; ; first = false {
		pods, containers, err := c.all(ctx)
		if err != nil {
			return err
		}
		var now []string
		for _, p := range pods {
			now = append(now, fmt.Sprint("pod ", p.GetId(), p.GetState()))
		}
		for _, k := range containers {
			now = append(now, fmt.Sprint("container ", k.GetId(), k.GetState()))
		}
		if slices.Sort(now); first || !slices.Equal(now, before) {
			before = now
			changed()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
