// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"waymark/classes"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// TestBusyContainerStays has a runtime that is busy with a container which was below
// another cgroup than is usual: that is where it still is.
func TestBusyContainerStays(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		switch q.URL.Path {
		case "/containers/json":
			fmt.Fprint(w, `[{"Id": "a1", "Names": ["/web"]}, {"Id": "b2", "Names": ["/new"]}]`)
		case "/info":
			fmt.Fprint(w, `{"CgroupDriver": "cgroupfs"}`)
		case "/_ping":
		default:
			<-q.Context().Done()
		}
	})}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	before := []plan.Container{{Socket: socket, ID: "a1", Cgroups: match.Path("app.slice/a1")}}
	got, err := new(Loader).containersAt(context.Background(), socket, []classes.Container{{}}, before)
	if err != nil || len(got) != 2 || got[0].Cgroups[0].Path != "app.slice/a1" || got[1].Cgroups[0].Path != "docker/b2" {
		t.Errorf("%v, %v", got, err)
	}
}
