// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/plan"
)

// stateFormat is the number of this form of State, oldFormat that of the
// oldest that is read, too: it has no number, and no tables that a binary of
// its time should look into now. A state of another form is refused, not
// guessed at.
const stateFormat, oldFormat = 2, 1

// StateForms are the formats of State that a binary knows.
type StateForms struct {
	Writes int `json:"writes"` // and the newest that it reads
	Oldest int `json:"oldest"` // that it reads
}

// Forms are those of this binary.
func Forms() StateForms { return StateForms{Writes: stateFormat, Oldest: oldFormat} }

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
	Hooks       []plan.Hook       `json:"hooks"` // for what the kernel does not show of them

	Overrides  []Override        `json:"overrides,omitempty"`  // moves that are in force beside the policy, earlier first
	Users      map[string]uint32 `json:"users,omitempty"`      // uids, by name, of the users that it names
	Containers []plan.Container  `json:"containers,omitempty"` // that the policy named then
	Number     int               `json:"number"`               // counts the policies that came in force since the first apply, from 1
	Author     string            `json:"author"`               // who applied it
	Change     string            `json:"change"`               // its difference from the one before, in a line
	Trial      *Trial            `json:"trial,omitempty"`      // it goes back by itself; nil: it stays
	Lapsed     int               `json:"lapsed,omitempty"`     // number of the state that this one came back in place of, for nobody confirmed it
	Withdrawn  map[string]string `json:"withdrawn,omitempty"`  // plan.Facts.Withdrawn
	Usable     []string          `json:"usable"`               // names of the uplinks that could be used when open flows last met their fate; nil in a state of an older binary
	Unfinished unfinished        `json:"unfinished,omitempty"` // a change is under way, or was interrupted

	Digest  string           `json:"digest"`            // of the policy's files; "" in a state of an older binary
	Outline *classes.Outline `json:"outline,omitempty"` // of the policy; nil in a state of an older binary
	text    *policyText      // the policy as it was read: "files", the last member
}

// unfinished is the change that a state is in the middle of: what the kernel
// holds may be of this state, or of another, in part. Whoever takes the lock
// next brings it to this one, or takes all of it away.
type unfinished string

const (
	applying unfinished = "apply"
	removing unfinished = "down"
)

// Policy is the policy that was applied.
func (s *State) Policy() (*classes.Policy, error) {
	files, err := s.text.files()
	if err != nil {
		return nil, err
	}
	return classes.ParseFiles(files...)
}

// outline is the outline of the policy.
func (s *State) outline() (classes.Outline, error) {
	if s.Outline != nil {
		return *s.Outline, nil
	}
	policy, err := s.Policy()
	if err != nil {
		return classes.Outline{}, err
	}
	return policy.Outline(), nil
}

// digest is that of the policy's files.
func (s *State) digest() (string, error) {
	if s.Digest != "" {
		return s.Digest, nil
	}
	return s.text.digest()
}

// complete fills in what the kernel does not show of the hooks it has: the
// constants of their programs. In the middle of a change nobody knows them.
func (s *State) complete(hooks []plan.Hook) {
	for i := range hooks {
		if s.Unfinished != "" {
			hooks[i].Master = -1
			continue
		}
		for _, h := range s.Hooks {
			if h.Pin == hooks[i].Pin {
				hooks[i].Master, hooks[i].Filtered = h.Master, h.Filtered
			}
		}
	}
}

// current tells whether this binary carries the programs that are attached.
func (s *State) current() bool { return s.Object == bpf.ObjectID() }

// open opens the instance of a state in a directory.
func (s *State) open(dir string) (*datapath.Instance, error) {
	if s.current() {
		return datapath.Open(dir, s.Settings)
	}
	return datapath.OpenOther(dir, s.Settings)
}

// encode is the state as a JSON object, compressed in two parts: its text, and
// before it all that is short. Decompressed as one they are the whole object.
func (s *State) encode() ([]byte, error) {
	files, err := s.text.packed()
	if err != nil {
		return nil, fmt.Errorf("write the state: %w", err)
	}
	head, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the state: %w", err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(head[:len(head)-1]) // the text ends the object
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("write the state: %w", err)
	}
	return append(b.Bytes(), files...), nil
}

// readState is the state of the instance in dir; an error that is
// fs.ErrNotExist says that there is none.
func readState(dir string) (*State, error) {
	raw, err := datapath.ReadState(dir)
	return stateOf(dir, raw, err)
}

// stateOf is the state that was read from a pin in dir.
func stateOf(dir string, raw []byte, err error) (*State, error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	var s *State
	if err != nil {
		err = errDamaged{err}
	} else {
		s, err = decodeState(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("read the state in %s: %w", dir, err)
	}
	return s, nil
}

// errDamaged is of a state that nobody can read.
type errDamaged struct{ cause error }

func (e errDamaged) Error() string {
	return fmt.Sprintf("it is damaged (%v): traffic goes on as it is; `waymark down` removes the state and what it speaks of", e.cause)
}

func (e errDamaged) Unwrap() error { return e.cause }

func decodeState(raw []byte) (*State, error) {
	r := bytes.NewReader(raw)
	head, err := unzip(r)
	if err != nil {
		return nil, errDamaged{err}
	}
	if r.Len() > 0 {
		head = append(head, '}')
	}
	// Of another format nothing but its number can be relied on.
	var of struct{ Format int }
	if err := json.Unmarshal(head, &of); err != nil {
		return nil, errDamaged{err}
	}
	if of.Format < oldFormat || of.Format > stateFormat {
		return nil, fmt.Errorf("it has format %d and this binary knows %d: traffic goes on as it is; use the waymark that applied it, or remove everything with `waymark down`", of.Format, stateFormat)
	}
	var s State
	if err := json.Unmarshal(head, &s); err != nil {
		return nil, errDamaged{err}
	}
	if s.text = packedText(raw[len(raw)-r.Len():]); r.Len() == 0 {
		s.text = textWithin(head)
	}
	s.Format, s.Number = stateFormat, max(s.Number, 1)
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
	return l.ours(l.readState(dir))
}
