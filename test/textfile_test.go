// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"waymark/internal/lab"
)

// TestTextfiles has node_exporter read the files of two network namespaces that
// have the same classes.
func TestTextfiles(t *testing.T) {
	program, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		t.Skipf("left out: %v (Debian's prometheus-node-exporter)", err)
	}
	dir := t.TempDir()
	var sites [2]*site
	for k, name := range []string{"lan", "wan"} {
		s := newSite(t, lab.Options{})
		s.apply(t, traffic)
		s.ok(t, "metrics", "-o", filepath.Join(dir, name+".prom"), "--label", "netns="+name)
		sites[k] = s
	}
	const address = "127.0.0.1:9100"
	c := sites[0].Host.Command(program, "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+dir, "--web.listen-address="+address)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	var body []byte
	soon(t, "it answers", func() (err error) { body, err = fetch(inside(sites[0].Host), "http://"+address+"/metrics"); return err })
	lan, wan := len(regexp.MustCompile(`(?m)^waymark_.*netns="lan"`).FindAll(body, -1)), len(regexp.MustCompile(`(?m)^waymark_.*netns="wan"`).FindAll(body, -1))
	if lan < 100 || lan != wan || !bytes.Contains(body, []byte("\nnode_textfile_scrape_error 0\n")) {
		t.Errorf("it has %d series of the one and %d of the other:\n%s", lan, wan, body)
	}
}
