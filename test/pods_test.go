// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"waymark/internal/lab"
)

// A kubelet is what a kubelet asks of a real containerd.
type kubelet struct {
	*containerdEngine
	cri.RuntimeServiceClient
	pods map[string]*cri.PodSandboxConfig // by id
}

func (e *containerdEngine) kubelet(t *testing.T) *kubelet {
	t.Helper()
	conn := must[*grpc.ClientConn](t)(grpc.NewClient("passthrough:///cri", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", e.socket())
		})))
	k := &kubelet{e, cri.NewRuntimeServiceClient(conn), map[string]*cri.PodSandboxConfig{}}
	t.Cleanup(func() {
		for id := range k.pods {
			k.end(t, id)
		}
		conn.Close()
	})
	return k
}

// pod makes one as the kubelet does, in a cgroup of its own.
func (k *kubelet) pod(t *testing.T, namespace, name, uid string, labels map[string]string) (id string) {
	t.Helper()
	c := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: namespace, Uid: uid}, Labels: labels, Hostname: name,
		Linux: &cri.LinuxPodSandboxConfig{CgroupParent: "/kubepods/burstable/pod" + uid},
	}
	must[string](t)(k.Lab.Cgroup("engine/kubepods/burstable/pod" + uid))
	answer, err := k.RunPodSandbox(t.Context(), &cri.RunPodSandboxRequest{Config: c})
	if err != nil {
		t.Fatalf("%v; containerd says %s", err, k.log())
	}
	k.pods[answer.GetPodSandboxId()] = c
	return answer.GetPodSandboxId()
}

// container starts one in a pod, and returns how a command is run in it.
func (k *kubelet) container(t *testing.T, pod, name string, labels map[string]string) (id string, c container) {
	t.Helper()
	made, err := k.CreateContainer(t.Context(), &cri.CreateContainerRequest{PodSandboxId: pod, SandboxConfig: k.pods[pod], Config: &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name}, Image: &cri.ImageSpec{Image: imageName}, Command: []string{"/bin/sleep", "1000"}, Labels: labels}})
	if err != nil {
		t.Fatalf("%v; containerd says %s", err, k.log())
	}
	id = made.GetContainerId()
	if _, err := k.StartContainer(t.Context(), &cri.StartContainerRequest{ContainerId: id}); err != nil {
		t.Fatalf("%v; containerd says %s", err, k.log())
	}
	return id, func(args ...string) (string, error) {
		answer, err := k.ExecSync(t.Context(), &cri.ExecSyncRequest{ContainerId: id, Cmd: append([]string{"/bin/sh", "-c", `exec "$@" </dev/null`, "sh"}, args...), Timeout: 20})
		if err == nil && answer.GetExitCode() != 0 {
			err = fmt.Errorf("%v: exit %d: %s", args, answer.GetExitCode(), answer.GetStderr())
		}
		return string(answer.GetStdout()), err
	}
}

// kill ends a container for good.
func (k *kubelet) kill(t *testing.T, id string) {
	t.Helper()
	if _, err := k.StopContainer(t.Context(), &cri.StopContainerRequest{ContainerId: id}); err != nil {
		t.Error(err)
	}
	if _, err := k.RemoveContainer(t.Context(), &cri.RemoveContainerRequest{ContainerId: id}); err != nil {
		t.Error(err)
	}
}

// end ends a pod with all that is in it. It is also called when the test's own
// context is over.
func (k *kubelet) end(t *testing.T, id string) {
	t.Helper()
	ctx := context.Background()
	if _, err := k.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		t.Error(err)
	}
	if _, err := k.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
		t.Error(err)
	}
	delete(k.pods, id)
}

const ofPods = `
classes:
  - {name: tuple, route: [c], match: [{dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: proxies, route: [a], otherwise: unreachable, match: [{container: {name: proxy, pod: 'web-*', namespace: shop}}]}
  - {name: web, route: [b], otherwise: unreachable, match: [{container: {pod: 'web-*', namespace: shop}}]}
  - {name: bulk, route: [c], match: [{container: {namespace: '*', label: {tier: bulk}}}]}
`

// TestPods has real pods of a containerd that serves CRI: by namespace and
// name, by label, with all of their containers, those to come as well.
func TestPods(t *testing.T) {
	s := newTraffic(t, lab.Options{Forward: true})
	e := s.containerd(t)
	k := e.kubelet(t)
	k.end(t, k.pod(t, "shop", "first", "0", nil))
	e.down(t, "cni0")
	s.mark(t)
	web := k.pod(t, "shop", "web-0", "8a1f-01", map[string]string{"app": "web"})
	other := k.pod(t, "other", "web-0", "8a1f-02", map[string]string{"app": "web"})
	bulk := k.pod(t, "other", "batch", "8a1f-03", map[string]string{"tier": "bulk"})
	s.apply(t, "containers: {sockets: [unix://"+e.socket()+"]}\n"+threeUplinks+ofPods)

	// The pods' cgroups were there before the containers are.
	nginx, inWeb := k.container(t, web, "nginx", nil)
	_, inOther := k.container(t, other, "nginx", nil)
	_, inBulk := k.container(t, bulk, "job", nil)
	s.goesBy(t, "by pod and namespace", inWeb, byB, byC)
	s.goesBy(t, "of the same name in another namespace", inOther, byA, byC)
	s.goesBy(t, "by the pod's label", inBulk, byC, byC)
	k.kill(t, nginx)
	nginx, inWeb = k.container(t, web, "nginx", nil)
	s.goesBy(t, "made again in its pod", inWeb, byB, byC)
	_, inProxy := k.container(t, web, "proxy", nil)
	s.goesBy(t, "as the rest of its pod, until it is looked for", inProxy, byB, byC)
	s.reapply(t)
	s.goesBy(t, "one container of a pod", inProxy, byA, byC)

	s.ok(t, "move", "pod:shop/web-0", "bulk")
	s.goesBy(t, "moved by the pod's name", inWeb, byC, byC)
	s.ok(t, "move", "container:other/web-0/nginx", "web")
	s.goesBy(t, "moved by the container's name", inOther, byB, byB)
	s.ok(t, "move", "container:{label: {tier: bulk}}", "web")
	s.goesBy(t, "moved by label", inBulk, byB, byB)
	for _, subject := range []string{"pod:shop/web-0", "container:other/web-0/nginx", "container:{label: {tier: bulk}}"} {
		s.ok(t, "move", "--undo", subject)
	}
	s.goesBy(t, "moved back", inBulk, byC, byC)
	for subject, want := range map[string]string{
		"pod:shop/web-7":     "no runtime at",
		"container:nginx":    "2 have that name: [other/web-0/nginx",
		"container:{pot: x}": "unknown key",
	} {
		if o := s.waymark(t, "move", subject, "web"); o.code == 0 || !strings.Contains(o.stderr, want) {
			t.Errorf("move %s: exit %d: %s", subject, o.code, o.stderr)
		}
	}

	// A pod that is made again is another one; the agent looks for it.
	s.agent(t, "containers: {sockets: [unix://"+e.socket()+"]}\n"+threeUplinks+ofPods)
	k.end(t, web)
	web = k.pod(t, "shop", "web-0", "8a1f-04", nil)
	s.caughtUp(t)
	_, inWeb = k.container(t, web, "nginx", nil)
	s.goesBy(t, "made again under the agent", inWeb, byB, byC)
}
