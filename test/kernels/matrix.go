// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// everySeries are the kernels of a whole run: the last one that Waymark
// refuses, the oldest that it wants, the one with tcx that Debian is on,
// and what is coming.
var everySeries = []string{"5.10", "6.1", "6.12", "newest"}

// A kernel is one that fetch.sh got.
type kernel struct {
	series, folder, release, version string
}

// The packages whose tests a guest runs: first what the kernel can do, then,
// where it can carry Waymark, what Waymark does on it.
const mechanismPackage = "./test/kernels"

var guestPackages = []string{"./internal/datapath", "./internal/rpdb", "./internal/host", "./test"}

// hostTests need the Go tool, which a guest does not have.
const hostTests = "^(TestArrowsPointDown|TestEveryForeignLibraryHasItsHome)$"

// hostPrograms are what a run needs beside the Go tool.
var hostPrograms = []string{"qemu-system-x86_64", "apt-get", "dpkg-deb", "xz"}

// matrix runs the tests on one kernel after another. It fails if a test
// does, or if the page does not say what the kernels did.
func matrix(series []string) error {
	for _, name := range hostPrograms {
		if program(name) == "" {
			fmt.Printf("left out: the tests on other kernels need %s\n", name)
			return nil
		}
	}
	kernels, err := fetch(series)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "waymark-kernels-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	waymark := filepath.Join(dir, "waymark")
	if err := command("go", "build", "-trimpath", "-o", waymark, "./cmd/waymark").Run(); err != nil {
		return fmt.Errorf("build waymark: %w", err)
	}
	var p page
	failed := false
	for _, k := range kernels {
		r, err := k.test(waymark)
		if err != nil {
			return err
		}
		p = append(p, r)
		failed = failed || r.failed
	}
	if failed {
		return errors.New("tests failed")
	}
	if !slices.Equal(series, everySeries) {
		fmt.Printf("left out: %s, which is about %s\n", pageFile, strings.Join(everySeries, ", "))
		return nil
	}
	return p.check(pageFile)
}

// test runs all of the tests on one kernel, each package in a guest of its own.
func (k kernel) test(waymark string) (*report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	const inGuest = "/bin/waymark"
	boot := fmt.Sprintf("%q boot -kernel %q -add %q -env WAYMARK_BINARY=%s", self, k.folder, waymark+":"+inGuest, inGuest)
	r := &report{kernel: k, works: map[string]bool{}, outputs: map[string]string{}}
	if err := r.run(boot, mechanismPackage); err != nil {
		return nil, err
	}
	if !r.works[applies] {
		fmt.Printf("%-7s left out: %s, for this kernel cannot carry Waymark\n", k.series, strings.Join(guestPackages, " "))
		return r, nil
	}
	return r, r.run(boot, guestPackages...)
}

// fetch gets the kernels, and says which they are.
func fetch(series []string) (kernels []kernel, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	c := command("test/kernels/fetch.sh", append([]string{filepath.Join(cache, "waymark-kernels")}, series...)...)
	c.Stdout = nil
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("fetch kernels: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		var k kernel
		if _, err := fmt.Sscan(line, &k.series, &k.folder, &k.release, &k.version); err != nil {
			return nil, fmt.Errorf("fetch kernels: %q: %w", line, err)
		}
		fmt.Printf("%-7s %s (%s)\n", k.series, k.release, k.version)
		kernels = append(kernels, k)
	}
	return kernels, nil
}

// command is one of the host whose words are seen.
func command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c
}
