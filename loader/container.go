// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"strings"

	"waymark/classes"
	"waymark/internal/plan"
)

// Container is the cgroup of a container that runs, by its name, below the
// cgroup root.
func (l *Loader) Container(policy *classes.Policy, name string) (cgroup string, err error) {
	k, err := l.containerNamed(policy, name)
	if err != nil {
		return "", err
	}
	if len(k.Cgroups) != 1 || k.Cgroups[0].Unit != "" {
		return "", fmt.Errorf("find container %s: it does not run: start it, or name with --cgroup where it will be", name)
	}
	return k.Cgroups[0].Path, nil
}

// moved are the containers that a move's subject takes: the one of a name, or
// all that a mapping in the policy's own words says, those to come as well.
func (l *Loader) moved(policy *classes.Policy, text string) ([]classes.Container, error) {
	if strings.HasPrefix(text, "{") {
		c, err := classes.ParseContainer(text)
		return []classes.Container{c}, err
	}
	k, err := l.containerNamed(policy, text)
	c := classes.Container{Name: k.Name, Namespace: k.Namespace}
	if strings.Count(text, "/") > 1 {
		c.Pod = k.Pod
	}
	return []classes.Container{c}, err
}

// pod is what names the pod POD or NAMESPACE/POD, if there is one.
func (l *Loader) pod(policy *classes.Policy, text string) ([]classes.Container, error) {
	c := classes.Container{Pod: text}
	if namespace, name, ok := strings.Cut(text, "/"); ok {
		c.Namespace, c.Pod = namespace, name
	}
	f := plan.Facts{}
	l.containers(policy, []classes.Container{c}, nil, &f)
	if f.Containers == nil && len(f.Mute) > 0 {
		return nil, fmt.Errorf("find pod %s: %s", text, strings.Join(f.Mute, "; "))
	}
	if f.Containers == nil || c.Pod == "" {
		return nil, fmt.Errorf("find pod %s: no runtime at %s has it: `crictl pods` lists them", text, strings.Join(sockets(policy), " or "))
	}
	return []classes.Container{c}, nil
}

// containerNamed is the one that is named NAME, NAMESPACE/NAME or
// NAMESPACE/POD/NAME.
func (l *Loader) containerNamed(policy *classes.Policy, text string) (k plan.Container, err error) {
	var c classes.Container
	switch parts := strings.Split(text, "/"); len(parts) {
	case 1:
		c.Name = text
	case 2:
		c.Namespace, c.Name = parts[0], parts[1]
	case 3:
		c.Namespace, c.Pod, c.Name = parts[0], parts[1], parts[2]
	default:
		return k, fmt.Errorf("find container %s: a name is NAME, NAMESPACE/NAME or NAMESPACE/POD/NAME", text)
	}
	f := plan.Facts{}
	l.containers(policy, []classes.Container{c}, nil, &f)
	switch {
	case len(f.Containers) == 1:
		return f.Containers[0], nil
	case len(f.Containers) > 1:
		return k, fmt.Errorf("find container %s: %d have that name: %v: say which, as NAMESPACE/POD/NAME, or move all of them: `move 'container:{name: %s}' CLASS`", text, len(f.Containers), f.Containers, c.Name)
	case len(f.Mute) > 0:
		return k, fmt.Errorf("find container %s: %s", text, strings.Join(f.Mute, "; "))
	}
	return k, fmt.Errorf("find container %s: no runtime at %s has it: `docker ps -a` lists Docker's, `crictl ps -a` Kubernetes'", text, strings.Join(sockets(policy), " or "))
}
