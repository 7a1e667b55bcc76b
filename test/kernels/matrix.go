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
	"time"
)

// everySeries are the kernels of a whole run: the last one that Waymark
// refuses, the oldest that it wants, the one with tcx that Debian is on,
// and what is coming.
var everySeries = []string{refusedSeries, "6.1", "6.12", "newest"}

const refusedSeries = "5.10"

// A kernel is one that fetch.sh got.
type kernel struct {
	series, folder, release, version string
}

// What a guest runs: first what the kernel can do, then, where it can carry
// Waymark, the rows.
const (
	mechanismPackage = "./test/kernels"
	rowPackage       = "./test"
)

// A guest runs guestRows rows. It is ended after guestLimit, and has said by then
// which test did not end; on an idle machine one needs a fifth of that.
const (
	guestRows             = 4
	testLimit, guestLimit = 24 * time.Minute, 25 * time.Minute
)

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
	failed := false
	for _, k := range kernels {
		r, _, err := recall(k)
		if err != nil {
			return err
		}
		if err := r.test(waymark); err != nil {
			return err
		}
		failed = failed || r.failed
	}
	if failed {
		return errors.New("tests failed")
	}
	return checkPage()
}

// checkPage compares the page with what this run and those before it, of the
// same programs, saw. It is about every kernel.
func checkPage() error {
	kernels, err := fetch(everySeries)
	if err != nil {
		return err
	}
	var p page
	for _, k := range kernels {
		r, ok, err := recall(k)
		if err != nil {
			return err
		}
		if !ok {
			fmt.Printf("left out: %s: these programs have not run on %s\n", pageFile, k.series)
			return nil
		}
		p = append(p, r)
	}
	return p.check(pageFile)
}

// test runs the chosen rows on one kernel, some to a guest, and keeps what they
// came to.
func (r *report) test(waymark string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	const inGuest = "/bin/waymark"
	boot := fmt.Sprintf("%q boot -kernel %q -limit %s -add %q -env WAYMARK_BINARY=%s", self, r.kernel.folder, guestLimit, waymark+":"+inGuest, inGuest)
	if err := r.run(boot, ".", mechanismPackage); err != nil {
		return err
	}
	if r.works[applies] == (r.kernel.series == refusedSeries) {
		fmt.Printf("%-7s carries Waymark: %v, which is wrong\n", r.kernel.series, r.works[applies])
		r.failed = true
	}
	if !r.works[applies] {
		fmt.Printf("%-7s refused: %s\n", r.kernel.series, r.refusal)
		return r.keep()
	}
	for some := range slices.Chunk(chosen, guestRows) {
		if err := r.testRows(boot, some); err != nil {
			return err
		}
		if err := r.keep(); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) testRows(boot string, rows []string) error {
	for _, row := range rows {
		name, _ := testOf(row)
		delete(r.passed, name)
		delete(r.sound, name)
	}
	if err := r.run(boot, pattern(rows), rowPackage); err != nil {
		return err
	}
	for _, row := range rows {
		if name, _ := testOf(row); r.passed[name] == nil {
			fmt.Printf("%-7s %s did not run\n", r.kernel.series, name)
			r.failed = true
		}
	}
	return nil
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
