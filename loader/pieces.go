// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strings"
)

// packer packs a text in pieces, each compressed by itself: of a policy that
// differs little from the one before, most are there already.
type packer struct {
	before  map[[16]byte]packedPiece
	index   []piece
	body    bytes.Buffer
	deflate *flate.Writer
	err     error
}

func newPacker(before map[[16]byte]packedPiece) (*packer, error) {
	p := &packer{before: before}
	var err error
	p.deflate, err = flate.NewWriter(&p.body, flate.BestSpeed)
	return p, err
}

// json adds what stands between texts.
func (p *packer) json(plain string) { p.add([16]byte{}, []byte(plain)) }

// text adds the inside of a JSON string.
func (p *packer) text(text string) {
	for text != "" {
		n := pieceEnd(text)
		p.lines(text[:n])
		text = text[n:]
	}
}

// lines adds one piece of a text, as it was packed before or anew.
func (p *packer) lines(text string) {
	sum := sha256.Sum256([]byte(text))
	digest := [16]byte(sum[:])
	if known, ok := p.before[digest]; ok {
		p.index = append(p.index, known.piece)
		p.body.Write(known.bytes)
		return
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		p.err = err
		return
	}
	p.add(digest, quoted[1:len(quoted)-1])
}

// add compresses one piece. It ends at a whole byte and refers to nothing
// before it.
func (p *packer) add(digest [16]byte, plain []byte) {
	from := p.body.Len()
	p.deflate.Reset(&p.body)
	_, err := p.deflate.Write(plain)
	p.err = errors.Join(p.err, err, p.deflate.Flush())
	p.index = append(p.index, piece{digest, crc32.ChecksumIEEE(plain), uint32(len(plain)), uint32(p.body.Len() - from)})
}

// packed is all that was added.
func (p *packer) packed() ([]byte, error) {
	if p.err != nil {
		return nil, fmt.Errorf("pack the policy: %w", p.err)
	}
	return member(p.index, p.body.Bytes()), nil
}

// pieceLines is how many lines a piece of a text has, on average.
const pieceLines = 512

// pieceEnd is where the first piece of a text ends: behind a line that looks
// so, so that pieces are the same wherever in a text they are.
func pieceEnd(text string) int {
	for at := 0; at < len(text); {
		n := strings.IndexByte(text[at:], '\n') + 1
		if n == 0 {
			break
		}
		if lineHash(text[at:at+n])>>(64-bits.Len(pieceLines-1)) == 0 {
			return at + n
		}
		at += n
	}
	return len(text)
}

func lineHash(line string) (h uint64) {
	const spread = 0x9e3779b97f4a7c15
	for ; len(line) >= 8; line = line[8:] {
		word := uint64(line[0]) | uint64(line[1])<<8 | uint64(line[2])<<16 | uint64(line[3])<<24 |
			uint64(line[4])<<32 | uint64(line[5])<<40 | uint64(line[6])<<48 | uint64(line[7])<<56
		h = (bits.RotateLeft64(h, 5) ^ word) * spread
	}
	for i := range len(line) {
		h = (bits.RotateLeft64(h, 5) ^ uint64(line[i])) * spread
	}
	return h
}
