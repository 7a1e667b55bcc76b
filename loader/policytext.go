// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"waymark/classes"
)

// policyText is a state's policy as it was read. It is by far the largest part of a
// state and the same in all that a change writes down, and most commands do
// not need it: it is packed once, and unpacked when somebody asks.
type policyText struct {
	files  func() ([]classes.File, error)
	packed func() ([]byte, error) // the last member of the state's JSON object, compressed
	digest func() (string, error) // the same for the same files
	before []byte                 // a packed text that is perhaps like this one
}

// textOf is the text of files. Where it is alike, it is packed as an earlier
// one, which start tells it.
func textOf(files []classes.File) *policyText {
	t := newText(func() ([]classes.File, error) { return files, nil })
	t.packed = sync.OnceValues(func() ([]byte, error) { return pack(files, t.before) })
	return t
}

// start begins to pack the text, with the one before, or nil.
func (t *policyText) start(before *policyText) {
	if before != nil {
		t.before, _ = before.packed() // one that is damaged is of no use, and no harm
	}
	go func() {
		_, _ = t.digest()
		_, _ = t.packed() // who asks for them gets the error
	}()
}

// packedText is the text that was packed.
func packedText(packed []byte) *policyText {
	t := newText(func() ([]classes.File, error) { return unpack(packed) })
	t.packed = func() ([]byte, error) { return packed, nil }
	return t
}

// textWithin is the text of a state that an older binary wrote, in one part.
func textWithin(object []byte) *policyText {
	t := newText(func() ([]classes.File, error) { return filesOf(object) })
	t.packed = sync.OnceValues(func() ([]byte, error) {
		files, err := t.files()
		if err != nil {
			return nil, err
		}
		return pack(files, nil)
	})
	return t
}

func newText(files func() ([]classes.File, error)) *policyText {
	t := &policyText{files: sync.OnceValues(files)}
	t.digest = sync.OnceValues(func() (string, error) {
		files, err := t.files()
		return digest(files), err
	})
	return t
}

// pack writes files as the last member of a JSON object that has others.
func pack(files []classes.File, before []byte) ([]byte, error) {
	p, err := newPacker(piecesOf(before))
	if err != nil {
		return nil, err
	}
	p.json(`,"files":[`)
	for i, f := range files {
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			p.json(",")
		}
		p.json(`{"name":` + string(name) + `,"text":"`)
		p.text(f.Text)
		p.json(`"}`)
	}
	p.json("]}")
	return p.packed()
}

func unpack(packed []byte) ([]classes.File, error) {
	member, err := unzip(bytes.NewReader(packed))
	if err != nil {
		return nil, errDamaged{err}
	}
	member, ok := bytes.CutPrefix(member, []byte(","))
	if !ok {
		return nil, errDamaged{errors.New("its policy is not where it should be")}
	}
	return filesOf(append([]byte("{"), member...))
}

func filesOf(object []byte) ([]classes.File, error) {
	var of struct{ Files []classes.File }
	if err := json.Unmarshal(object, &of); err != nil {
		return nil, errDamaged{err}
	}
	return of.Files, nil
}

// unzip reads one compressed member, and not a byte more.
func unzip(r *bytes.Reader) ([]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return io.ReadAll(z)
}

func digest(files []classes.File) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%d %d ", len(f.Name), len(f.Text))
		_, _ = io.WriteString(sum, f.Name)                                                 // a hash takes everything
		_, _ = io.Copy(sum, io.LimitReader(strings.NewReader(f.Text), int64(len(f.Text)))) // in parts
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
