// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/lab"
	"waymark/loader"
)

// instance is Waymark on a laboratory's host.
type instance struct {
	lab *lab.Lab
	dir string // for policy files
}

// applied is what one apply took, in a process of its own, and the marks
// that the classes have got.
type applied struct {
	Read, Apply time.Duration
	Total       time.Duration `json:"-"` // with the process's start and end
	Marks       map[string]uint32
}

func newInstance(l *lab.Lab) (*instance, error) {
	dir, err := os.MkdirTemp("", "waymark-bench-")
	return &instance{lab: l, dir: dir}, err
}

// apply brings the host to a policy.
func (i *instance) apply(ctx context.Context, policy string) (a applied, err error) {
	file := filepath.Join(i.dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		return a, err
	}
	c, err := self(i.lab.Host, "role:apply", file, i.lab.CgroupRoot())
	if err != nil {
		return a, err
	}
	start := time.Now()
	out, err := output(ctx, c, "")
	if err != nil {
		return a, err
	}
	a.Total = time.Since(start)
	return a, json.Unmarshal([]byte(out), &a)
}

// applyMain does what `waymark apply` does, with a watch.
func applyMain(args []string) error {
	start := time.Now()
	debug.SetGCPercent(-1) // as the command does
	datapath.Preload()
	policy, err := classes.Load(args[0])
	if err != nil {
		return err
	}
	read := time.Now()
	l, err := loader.Open(loader.Options{CgroupRoot: args[1]})
	if err != nil {
		return err
	}
	defer l.Close()
	done, err := l.Apply(policy)
	if err != nil {
		return err
	}
	a := applied{Read: read.Sub(start), Apply: time.Since(read), Marks: map[string]uint32{}}
	for _, c := range done.Plan.Classes {
		a.Marks[c.Name] = c.Mark
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}

// down removes what was applied.
func (i *instance) down() error {
	return i.lab.Host.Do(func() error {
		l, err := loader.Open(loader.Options{CgroupRoot: i.lab.CgroupRoot()})
		if err != nil {
			return err
		}
		defer l.Close()
		_, err = l.Down()
		return err
	})
}

// pins is the directory where the host's instance is pinned.
func (i *instance) pins() (string, error) {
	bpffs, _, err := host.Bpffs()
	return filepath.Join(bpffs, "waymark", fmt.Sprint(i.lab.Host.Inode())), err
}

func (i *instance) close() error {
	if i == nil {
		return nil
	}
	return errors.Join(i.down(), os.RemoveAll(i.dir))
}

// withoutTracepoints switches off what would run for the packets of the other
// arms' hosts too; what it costs is measured by itself.
const withoutTracepoints = "telemetry: {queue: false, drops: false}\n"

// waymark is a host whose marks are set by Waymark.
type waymark struct{ *instance }

func (w *waymark) start(_ context.Context, a *arm) (err error) {
	w.instance, err = newInstance(a.lab)
	return err
}

func (w *waymark) apply(ctx context.Context, a *arm, p policy, _ paths) error {
	if err := w.down(); err != nil {
		return err
	}
	_, err := w.instance.apply(ctx, withoutTracepoints+p.yaml(uplinksOf(a.lab)))
	return err
}

func (w *waymark) classed(context.Context, *arm) (n int, err error) {
	err = w.lab.Host.Do(func() error {
		l, err := loader.Open(loader.Options{CgroupRoot: w.lab.CgroupRoot()})
		if err != nil {
			return err
		}
		defer l.Close()
		status, err := l.Status()
		if err != nil {
			return err
		}
		for _, c := range status.Classes {
			if c.Name == fourWays[len(fourWays)-1].name {
				for _, u := range c.Counts {
					n += int(u.Packets)
				}
			}
		}
		return nil
	})
	return n, err
}

func (w *waymark) end(*arm) error { return w.instance.close() }
