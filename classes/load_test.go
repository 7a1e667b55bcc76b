// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// writeFiles writes files into a new directory, whose name it returns.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadMergesInOrder(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"20-b.yaml":     "classes: [{name: third, route: lte, match: {uid: 3}}]\n",
		"10-a.yaml":     "classes: [{name: second, route: lte, match: {uid: 2}}]\ntables: {base: 300}\n",
		"30-empty.yaml": "# nothing yet\n",
		".hidden.yaml":  "not: [read\n",
		"README":        "not read",
	})
	main := writeFiles(t, map[string]string{
		"policy.yaml": dropIn,
	})
	p, err := Load(filepath.Join(main, "policy.yaml"), dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range p.Classes {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"first", "second", "third"}, names); diff != "" {
		t.Errorf("(- want, + got)\n%s", diff)
	}
	if p.Tables.Base != 300 {
		t.Errorf("tables begin at %d, want 300", p.Tables.Base)
	}
	if want := filepath.Join(dir, "20-b.yaml"); p.Classes[2].Pos.File != want {
		t.Errorf("class third is in %s, want %s", p.Classes[2].Pos.File, want)
	}
}

func TestLoadReportsAllFiles(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"a.yaml": "uplinks: [{name: lte, interface: wwan0}]\nmark: {mask: 0xff}\nrules: {base: 0}\n",
		"b.yaml": "mark: {mask: 0xff}\nuplinks: [{name: lte, interface: wwan1}]\n",
		"c.yaml": "uplinks: [\n",
		"d.yml":  "",
	})
	if err := unix.Mkfifo(filepath.Join(dir, "e.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("the error is %v, not Problems", err)
	}
	compareGolden(t, "testdata/files.want", strings.ReplaceAll(err.Error(), dir+"/", "")+"\n")
}

// TestLoadIsBounded reads what is no policy but a file of another kind, and an
// endless one.
func TestLoadIsBounded(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.yaml": "uplinks: [{name: lte, interface: wwan0}]\n", "b.yaml": ""})
	large := filepath.Join(dir, "b.yaml")
	if err := os.Truncate(large, mostText); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, "/dev/zero"} {
		_, err := Load(path)
		if !errors.As(err, new(Problems)) || !strings.Contains(err.Error(), "a policy of more than 64 MiB") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestLoadReportsDuplicatesAcrossFiles(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"a.yaml": "uplinks: [{name: lte, interface: wwan0}]\nrules: {base: 10}\ntables: {base: 300}\nclasses: [{name: a, route: lte, match: {uid: 1}}]\n",
		"b.yaml": "uplinks: [{name: lte, interface: wwan0}]\nrules: {base: 20}\ntables: {base: 400}\nclasses: [{name: a, route: lte, match: {uid: 2}}]\n",
	})
	_, err := Load(dir)
	if err == nil {
		t.Fatal("no error")
	}
	compareGolden(t, "testdata/duplicates.want", strings.ReplaceAll(err.Error(), dir+"/", "")+"\n")
}

func TestParseFilesIsLoad(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"a.yaml": "uplinks: [{name: lte, interface: wwan0}]\n",
		"b.yaml": "classes: [{name: a, route: lte, match: {uid: 1}}]\n",
	})
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseFiles(loaded.Files()...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loaded, parsed, cmpopts.IgnoreUnexported(Policy{})); diff != "" {
		t.Errorf("(- loaded, + parsed)\n%s", diff)
	}
}

// TestLoadReportsWhatIsNotWritten: a policy without the classes of a file that a shell
// has only made yet would be valid.
func TestLoadReportsWhatIsNotWritten(t *testing.T) {
	dir := writeFiles(t, map[string]string{"10-policy.yaml": dropIn + "moves: [{cgroup: x, to: late}]\n", "20-late.yaml": ""})
	_, err := Load(dir)
	if text := fmt.Sprint(err); !strings.HasPrefix(text, filepath.Join(dir, "20-late.yaml")+": the file is empty\n") || strings.Contains(text, "10-policy") {
		t.Error(text)
	}
}

const dropIn = "uplinks: [{name: lte, interface: wwan0}]\nclasses: [{name: first, route: lte, match: {uid: 1}}]\n"

func TestLoadReportsMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "policy.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error is %v, want %v", err, fs.ErrNotExist)
	}
}

func TestLoadOfNothingIsAProblem(t *testing.T) {
	var problems Problems
	if _, err := Load(t.TempDir()); !errors.As(err, &problems) {
		t.Errorf("the error is %v, want Problems", err)
	}
}

func TestProblemsEndSomewhere(t *testing.T) {
	text := "uplinks: [{name: u, interface: eth0}]\nclasses: [{name: c, route: u, match: [\n" + strings.Repeat("{uid: -1},\n", 1234) + "{uid: 1}]}]\n"
	_, err := Parse("policy.yaml", []byte(text))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("%d problems, want %d", len(problems), maxProblems+1)
	}
	if last := problems[maxProblems].Text; last != "and 234 problems more" {
		t.Errorf("the last problem is %q", last)
	}
}
