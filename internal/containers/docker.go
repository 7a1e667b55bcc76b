// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"waymark/classes"
	"waymark/internal/match"
)

// docker is a runtime that speaks Docker's HTTP API.
type docker struct{ Runtime }

// The labels by which a kubelet that works through Docker's API (cri-dockerd)
// says a container's pod and its namespace.
const (
	podName      = "io.kubernetes.pod.name"
	podNamespace = "io.kubernetes.pod.namespace"
)

// get sends one request, without a version in its path: the runtime answers
// in its own, and what is read here is in all of them.
func (d docker) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) }}
	u := url.URL{Scheme: "http", Host: "runtime", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return nil, &refusal{answer.StatusCode, fmt.Sprintf("GET %s: %s: %s", path, answer.Status, strings.TrimSpace(string(text)))}
	}
	return answer, nil
}

// refusal is an answer that says no.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func (d docker) read(ctx context.Context, path string, query url.Values, into any) (http.Header, error) {
	answer, err := d.get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return answer.Header, nil
}

func (d docker) list(ctx context.Context, wanted func(classes.Identity) bool) (list []Container, err error) {
	var driver cgroupDriver
	header, err := d.read(ctx, "/info", nil, &driver)
	if err != nil {
		return nil, err
	}
	driver.podman = header.Get("Libpod-API-Version") != ""
	var all []struct {
		ID     string `json:"Id"`
		Names  []string
		Labels map[string]string
		State  string
	}
	if _, err := d.read(ctx, "/containers/json", url.Values{"all": {"true"}}, &all); err != nil {
		return nil, err
	}
	var runs []bool
	for _, one := range all {
		c := Container{ID: one.ID, Identity: classes.Identity{Pod: one.Labels[podName], Namespace: one.Labels[podNamespace], Labels: one.Labels}}
		for _, name := range one.Names { // others are those of links: /other/alias
			if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
				c.Name = name
			}
		}
		if one.ID == "" || !wanted(c.Identity) {
			continue
		}
		list, runs = append(list, c), append(runs, one.State == "running")
	}
	return each(ctx, list, func(i int) question {
		return func(ctx context.Context, c *Container) error { return d.inspect(ctx, c, runs[i], driver) }
	})
}

// How long a runtime may take to say where a container is. It does not while it
// starts it, or copies from it: who waited for that would know of a new container
// when it has sent its first packet.
const (
	untilStarted = 50 * time.Millisecond
	untilCopied  = 500 * time.Millisecond
)

// inspect fills in where a container is, or where such a one usually is.
func (d docker) inspect(ctx context.Context, c *Container, runs bool, driver cgroupDriver) error {
	var more struct {
		State      struct{ Pid int }
		HostConfig struct{ CgroupParent string }
	}
	patience := untilStarted
	if runs {
		patience = untilCopied
	}
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := d.read(soon, "/containers/"+c.ID+"/json", nil, &more)
	if soon.Err() != nil && ctx.Err() == nil {
		c.Guessed, err = true, nil
	}
	if no, ok := err.(*refusal); ok && no.status == http.StatusNotFound {
		return errGone
	}
	c.PID, c.Cgroups = max(0, more.State.Pid), driver.cgroups(c.ID, more.HostConfig.CgroupParent)
	return err
}

// cgroupDriver is who makes the containers' cgroups.
type cgroupDriver struct {
	CgroupDriver string // "systemd", "cgroupfs" or "none"
	podman       bool
}

// cgroups is where the cgroup of a container is made.
func (d cgroupDriver) cgroups(id, parent string) []match.Cgroup {
	switch {
	case d.CgroupDriver == "systemd" && d.podman:
		return []match.Cgroup{{Unit: "libpod-" + id + ".scope"}, {Path: "*.slice/*.service/libpod-payload-" + id}}
	case d.CgroupDriver == "systemd":
		return []match.Cgroup{{Unit: "docker-" + id + ".scope"}}
	case d.podman:
		return []match.Cgroup{{Path: below(parent, "libpod_parent", "libpod-"+id)}}
	}
	return []match.Cgroup{{Path: below(parent, "docker", id)}}
}

func below(parent, usual, name string) string {
	if parent == "" {
		parent = usual
	}
	return strings.TrimPrefix(path.Clean("/"+parent+"/"+name), "/")
}

// watch listens to the events that change what list says.
func (d docker) watch(ctx context.Context, changed func()) error {
	filters, err := json.Marshal(map[string][]string{
		"type": {"container"}, "event": {"create", "start", "rename", "die", "destroy", "remove"}})
	if err != nil {
		return err
	}
	answer, err := d.get(ctx, "/events", url.Values{"filters": {string(filters)}})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	changed()
	events := json.NewDecoder(answer.Body)
	for {
		var event json.RawMessage
		if err := events.Decode(&event); err != nil {
			return err
		}
		changed()
	}
}
