// SPDX-License-Identifier: Apache-2.0

package test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// imageName is what the image is called once it is imported.
const imageName = "docker.io/library/box:latest"

// image is the box as an image that `docker save` would write, which waits.
func (m *containerHost) image(t *testing.T) string {
	t.Helper()
	layer := must[[]byte](t)(os.ReadFile(m.box(t)))
	config := must[[]byte](t)(json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Cmd": []string{"/bin/sleep", "1000"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	}))
	manifest := must[[]byte](t)(json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{imageName}, "Layers": []string{"layer.tar"}}}))
	name := filepath.Join(m.dir, "image.tar")
	f := must[*os.File](t)(os.Create(name))
	defer f.Close()
	w := tar.NewWriter(f)
	for _, part := range []struct {
		name string
		text []byte
	}{{"config.json", config}, {"layer.tar", layer}, {"manifest.json", manifest}} {
		if err := w.WriteHeader(&tar.Header{Name: part.name, Mode: 0o644, Size: int64(len(part.text))}); err != nil {
			t.Fatal(err)
		}
		must[int](t)(w.Write(part.text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}
