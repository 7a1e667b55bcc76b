// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors is the house: a package may import those on floors below its own,
// none beside it and none above.
var floors = map[string]int{
	"waymark/bpf":                 0,
	"waymark/classes":             0,
	"waymark/internal/registry":   0,
	"waymark/internal/filters":    0,
	"waymark/internal/match":      1,
	"waymark/internal/plan":       2,
	"waymark/internal/datapath":   3,
	"waymark/internal/rpdb":       3,
	"waymark/internal/neighbours": 3,
	"waymark/internal/importer":   3,
	"waymark/internal/probe":      3,
	"waymark/internal/nat":        3,
	"waymark/internal/verify":     3,
	"waymark/internal/host":       3,
	"waymark/internal/containers": 3,
	"waymark/loader":              4,
	"waymark/internal/agent":      5,
	"waymark/internal/metrics":    5,
	"waymark/internal/web":        5,
	"waymark/internal/top":        5,
	"waymark/internal/lab":        4,
	"waymark/internal/witness":    5,
	"waymark/cmd/waymark":         6,
	"waymark/test":                6,
	"waymark/test/bench":          6,
	"waymark/test/client":         6,
	"waymark/test/hosts":          6,
	"waymark/test/kernels":        6,
}

// homes are the only packages that may import a foreign library; cmd and
// the tests, which wire and watch, are named where they do.
var homes = map[string][]string{
	"charm.land/bubbletea/v2":                {"waymark/internal/top"},
	"charm.land/lipgloss/v2":                 {"waymark/internal/top"},
	"github.com/charmbracelet/x":             {"waymark/internal/top"},
	"github.com/cilium/ebpf":                 {"waymark/bpf", "waymark/internal/datapath", "waymark/test/bench"},
	"github.com/goccy/go-yaml":               {"waymark/classes", "waymark/internal/importer"},
	"github.com/coreos/go-systemd":           {"waymark/cmd/waymark", "waymark/internal/host"},
	"github.com/google/nftables":             {"waymark/internal/nat"},
	"github.com/fsnotify/fsnotify":           {"waymark/internal/agent"},
	"github.com/prometheus/client_golang":    {"waymark/internal/metrics"},
	"github.com/prometheus/exporter-toolkit": {"waymark/internal/web"},
	"github.com/spf13/cobra":                 {"waymark/cmd/waymark"},
	"github.com/vishvananda/netlink":         {"waymark/internal/rpdb", "waymark/internal/host", "waymark/internal/lab", "waymark/internal/datapath"},
	"github.com/vishvananda/netns":           {"waymark/internal/lab"},
	"go.yaml.in/yaml/v2":                     {"waymark/internal/web"},
	"google.golang.org/grpc":                 {"waymark/internal/containers"},
	"github.com/containerd/containerd/api":   {"waymark/internal/containers"},
	"k8s.io/cri-api":                         {"waymark/internal/containers"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestArrowsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		floor, known := floors[p.ImportPath]
		if !known {
			t.Errorf("%s is on no floor of the house: give it one in %s", p.ImportPath, "house_test.go and the README")
			continue
		}
		for _, imported := range p.Imports {
			below, ours := floors[imported]
			switch {
			case ours && below >= floor:
				t.Errorf("%s (floor %d) imports %s (floor %d): arrows point down only", p.ImportPath, floor, imported, below)
			case ours && p.ImportPath == "waymark/internal/lab":
				t.Errorf("the laboratory imports %s: it must know none of ours, or it could not judge them", imported)
			}
		}
	}
}

func TestEveryForeignLibraryHasItsHome(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for library, allowed := range homes {
				inside := imported == library || strings.HasPrefix(imported, library+"/")
				if inside && !slices.Contains(allowed, p.ImportPath) {
					t.Errorf("%s imports %s, whose home is %s", p.ImportPath, imported, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

func packages(t *testing.T) (all []listed) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "waymark/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
