// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"waymark/internal/lab"
)

// A browser is a Chromium on a site's host, driven by page/page.mjs.
type browser struct {
	in   io.Writer
	out  *json.Decoder
	wait func() error
}

// browser starts one, that ends with the test.
func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	for _, need := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Fatalf("%v: run `make test-packages`", err)
		}
	}
	if _, err := os.Stat("page/node_modules/axe-core"); err != nil {
		t.Fatalf("%v: run `make test-packages`", err)
	}
	c := s.Host.Command("node", "page/page.mjs")
	c.Env = append(os.Environ(), "HOME="+t.TempDir())
	c.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(c.StdinPipe())
	out := must[io.ReadCloser](t)(c.StdoutPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBrowser(t, c, in) })
	return &browser{in: in, out: json.NewDecoder(bufio.NewReader(out))}
}

func closeBrowser(t *testing.T, c *lab.Cmd, in io.Closer) {
	t.Helper()
	in.Close()
	if err := c.Wait(); err != nil {
		t.Errorf("the browser ended with %v", err)
	}
}

// step has it do something, which has to succeed; what came of it goes into
// result, if that is not nil.
func (b *browser) step(t *testing.T, result any, name string, args ...any) {
	t.Helper()
	order := map[string]any{"step": name}
	for i := 0; i < len(args); i += 2 {
		order[args[i].(string)] = args[i+1]
	}
	line := must[[]byte](t)(json.Marshal(order))
	if _, err := fmt.Fprintf(b.in, "%s\n", line); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var answer struct {
		Value json.RawMessage
		Error string
	}
	if err := b.out.Decode(&answer); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if answer.Error != "" {
		t.Fatalf("%s: %s", name, answer.Error)
	}
	if result != nil {
		if err := json.Unmarshal(answer.Value, result); err != nil {
			t.Fatalf("%s: %v in %s", name, err, answer.Value)
		}
	}
}
