// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/plan"
)

// stateFormat is the number of this form of State. A state of another form
// is refused, not guessed at.
const stateFormat = 1

// State is what a host remembers of its last apply; it is pinned with the
// BPF objects it speaks of.
type State struct {
	Format      int               `json:"format"`
	Object      string            `json:"object"` // bpf.ObjectID of the attached programs
	Settings    datapath.Settings `json:"settings"`
	Fingerprint string            `json:"fingerprint"` // plan.Fingerprint of what the maps hold
	Numbers     plan.Numbers      `json:"numbers"`
	Sysctls     map[string]string `json:"sysctls"` // those we changed, with the values before
	CgroupRoot  string            `json:"cgroupRoot"`
	Applied     time.Time         `json:"applied"`
	Files       []classes.File    `json:"files"` // the policy as it was read
	Hooks       []plan.Hook       `json:"hooks"` // for what the kernel does not show of them
}

// Policy is the policy that was applied.
func (s *State) Policy() (*classes.Policy, error) { return classes.ParseFiles(s.Files...) }

// complete fills in what the kernel does not show of the hooks it has: the
// constants of their programs.
func (s *State) complete(hooks []plan.Hook) {
	for i := range hooks {
		for _, h := range s.Hooks {
			if h.Pin == hooks[i].Pin {
				hooks[i].IIF = h.IIF
			}
		}
	}
}

// current tells whether this binary carries the programs that are attached.
func (s *State) current() bool { return s.Object == bpf.ObjectID() }

func (s *State) encode() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(s), z.Close()); err != nil {
		return nil, fmt.Errorf("write the state: %w", err)
	}
	return b.Bytes(), nil
}

// readState is the state of the instance in dir; an error that is
// fs.ErrNotExist says that there is none.
func readState(dir string) (*State, error) {
	raw, err := datapath.ReadState(dir)
	if err != nil {
		return nil, err
	}
	s, err := decodeState(raw)
	if err != nil {
		return nil, fmt.Errorf("read the state in %s: %w: `waymark down` removes it and what it speaks of", dir, err)
	}
	return s, nil
}

func decodeState(raw []byte) (*State, error) {
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	if s.Format != stateFormat {
		return nil, fmt.Errorf("it has format %d and this binary knows %d", s.Format, stateFormat)
	}
	return &s, nil
}

// Applied is the policy that is applied. From then on the loader works with
// the cgroup root that it was applied with. An error that is fs.ErrNotExist
// says that nothing is applied.
func (l *Loader) Applied() (*classes.Policy, error) {
	state, err := l.State()
	if err != nil {
		return nil, err
	}
	l.root = state.CgroupRoot
	return state.Policy()
}

// State is what the host remembers of its last apply. An error that is
// fs.ErrNotExist says that nothing is applied.
func (l *Loader) State() (*State, error) {
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	return readState(dir)
}
