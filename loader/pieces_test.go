// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"waymark/classes"
)

// TestPackedByPieces packs texts with the help of others: it is what there is
// without help, whatever the others were, and unpacks to the text.
func TestPackedByPieces(t *testing.T) {
	lines := make([]string, 20_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("      - {proto: udp, dst: 198.18.%d.%d, dport: %d}", i/256, i%256, 1+i)
	}
	text := func(edit func([]string) []string) []classes.File {
		return []classes.File{{Name: "a.yaml", Text: strings.Join(edit(slices.Clone(lines)), "\n") + "\n"}}
	}
	same := text(func(l []string) []string { return l })
	pieces := len(piecesOf(must(t, same, nil)))
	if pieces < 20 {
		t.Fatalf("%d pieces of %d lines", pieces, len(lines))
	}
	for name, c := range map[string]struct {
		files []classes.File
		news  int // pieces that were not there
	}{
		"the same":     {same, 0},
		"one changed":  {text(func(l []string) []string { l[7000] = "# <é> & \\ \"x\"\t"; return l }), 2},
		"one more":     {text(func(l []string) []string { return slices.Insert(l, 9000, "# more") }), 2},
		"one less":     {text(func(l []string) []string { return slices.Delete(l, 11_000, 11_001) }), 2},
		"turned round": {text(func(l []string) []string { return append(l[10_000:], l[:10_000]...) }), 4},
		"two files":    {append(same, classes.File{Name: "é.yaml", Text: "x: y"}), 1},
		"others":       {[]classes.File{{Name: "b.yaml"}, {Name: "c.yaml", Text: "\n\n\n"}, {Name: "d.yaml", Text: "no end"}}, 3},
		"none":         {nil, 0},
	} {
		before := must(t, same, nil)
		packed, alone := must(t, c.files, before), must(t, c.files, nil)
		if !bytes.Equal(packed, alone) {
			t.Errorf("%s: with help it is another", name)
		}
		news, known := 0, piecesOf(before)
		for digest := range piecesOf(packed) {
			if _, ok := known[digest]; !ok {
				news++
			}
		}
		if news > c.news {
			t.Errorf("%s: %d pieces are new, want %d at most", name, news, c.news)
		}
		if got, err := unpack(packed); err != nil || !reflect.DeepEqual(got, c.files) && len(got)+len(c.files) > 0 {
			t.Errorf("%s: unpacked it is another, or an error: %v", name, err)
		}
	}
}

func must(t *testing.T, files []classes.File, before []byte) []byte {
	t.Helper()
	packed, err := pack(files, before)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// TestOtherMembersHaveNoPieces takes nothing of what somebody else packed, or
// of what is cut short.
func TestOtherMembersHaveNoPieces(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Extra = []byte("AB\x04\x00abcd")
	_, _ = z.Write([]byte(",\"files\":[]}"))
	z.Close()
	if n := len(piecesOf(b.Bytes())); n != 0 {
		t.Errorf("%d pieces of another's member", n)
	}
	whole := must(t, []classes.File{{Text: "a\nb\n"}}, nil)
	for n := range len(whole) {
		for _, one := range piecesOf(whole[:n]) {
			if len(one.bytes) != int(one.Packed) {
				t.Errorf("cut to %d bytes it has a piece of %d that says %d", n, len(one.bytes), one.Packed)
			}
		}
	}
}

func TestJoinedCRC(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		text := make([]byte, r.IntN(3000))
		for i := range text {
			text[i] = byte(r.Uint32())
		}
		at := r.IntN(len(text) + 1)
		first, second := text[:at], text[at:]
		if got, want := joinedCRC(crc32.ChecksumIEEE(first), crc32.ChecksumIEEE(second), uint32(len(second))), crc32.ChecksumIEEE(text); got != want {
			t.Fatalf("%d and %d bytes: %#x, want %#x", len(first), len(second), got, want)
		}
	}
}
