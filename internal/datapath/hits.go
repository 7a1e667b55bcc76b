// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"hash/fnv"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/plan"
)

// MostHits is how many matches of a policy have their hits counted, its first.
const MostHits = int(bpf.WaymarkHitLimitsHIT_MATCHES)

// hitReader reads how often each of some matches won, since it was first
// applied. What a line had won before its version came in force stays as it is
// until the state is another, and is read once. What it won while a version took
// the place of another is added when nobody reads the other any more; until then
// the most that was told of it holds.
type hitReader struct {
	instance *Instance
	ids      []uint64
	told     Told
	version  uint32
	lines    []bpf.WaymarkMatchLine // of the version, in the order of ids; nil before the first reading
	places   []int                  // in the version, of the same; -1 of a line that is not there
	hits     []uint64
}

// Told is the most that was told of each match's hits, by the match's id.
type Told map[uint64]uint64

func (h *hitReader) read() ([]uint64, error) {
	live, err := h.instance.live()
	if err != nil {
		return nil, err
	}
	if h.lines == nil || h.version != live {
		if err := h.learn(live); err != nil {
			return nil, err
		}
	}
	won, err := h.instance.wonSince(live, len(h.ids))
	if err != nil {
		return nil, err
	}
	for k, place := range h.places {
		h.hits[k] = 0
		if place >= 0 && place < len(won) {
			h.hits[k] = h.lines[k].Earlier + won[place]
		}
		h.hits[k] = max(h.hits[k], h.told[h.ids[k]])
		h.told[h.ids[k]] = h.hits[k]
	}
	return h.hits, nil
}

// learn finds the lines of a version.
func (h *hitReader) learn(version uint32) error {
	lines, err := h.instance.linesOf(version, len(h.ids))
	if err != nil {
		return err
	}
	found := make(map[uint64]int, len(lines))
	for k, l := range lines {
		found[l.Id] = k
	}
	h.version, h.hits = version, make([]uint64, len(h.ids))
	h.lines, h.places = make([]bpf.WaymarkMatchLine, len(h.ids)), make([]int, len(h.ids))
	for k, id := range h.ids {
		place, is := found[id]
		if h.places[k] = place; !is {
			h.places[k] = -1
			continue
		}
		h.lines[k] = lines[place]
	}
	return nil
}

// countsHits tells whether the instance counts hits as this build does.
func (i *Instance) countsHits() bool {
	return i.maps.Hits != nil && i.maps.Matches != nil && i.maps.Hits.MaxEntries() == 2*uint32(MostHits)
}

// linesOf are the first n lines of a version, and wonSince what they have won
// since it was published; none of an instance that does not count them as this
// build does.
func (i *Instance) linesOf(version uint32, n int) ([]bpf.WaymarkMatchLine, error) {
	return firstOf[bpf.WaymarkMatchLine](i, i.maps.Matches, version, n)
}

func (i *Instance) wonSince(version uint32, n int) ([]uint64, error) {
	return firstOf[uint64](i, i.maps.Hits, version, n)
}

func firstOf[T any](i *Instance, m *ebpf.Map, version uint32, n int) ([]T, error) {
	if n == 0 || !i.countsHits() {
		return nil, nil
	}
	from := int(version) * MostHits
	if m.Flags()&unix.BPF_F_MMAPABLE == 0 { // of a build before they were
		values, err := firstEntries[T](m, uint32(from+n)) // a batch begins at the first
		if err != nil {
			return nil, err
		}
		return values[from:], nil
	}
	values := make([]T, n)
	return values, inMemory(m, func(all []T) { copy(values, all[from:]) })
}

// wonBy is what each of the first n lines of a version has won in all, by its id.
func (i *Instance) wonBy(version uint32, n int) (map[uint64]uint64, error) {
	lines, err1 := i.linesOf(version, n)
	won, err2 := i.wonSince(version, n)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	sums := map[uint64]uint64{}
	for k, l := range lines {
		if l.Id != 0 {
			sums[l.Id] = l.Earlier + won[k]
		}
	}
	return sums, nil
}

// putLines makes the lines of a version that is not in force, which go on
// where those in force are now.
func (i *Instance) putLines(version uint32, p *plan.Plan) error {
	before, err := i.wonBy(1-version, MostHits)
	if err != nil {
		return err
	}
	lines := make([]bpf.WaymarkMatchLine, MostHits)
	for k, id := range lineIDs(p) {
		lines[k] = bpf.WaymarkMatchLine{Id: id, Earlier: before[id]}
	}
	bury(lines, before)
	from := int(version) * MostHits
	return errors.Join(
		inMemory(i.maps.Matches, func(all []bpf.WaymarkMatchLine) { copy(all[from:], lines) }),
		inMemory(i.maps.Hits, func(all []uint64) { clear(all[from : from+MostHits]) }))
}

// bury keeps what lines won that are not there any more, behind those that
// are and as far as there is room: they go on from there when they come back.
func bury(lines []bpf.WaymarkMatchLine, won map[uint64]uint64) {
	there := map[uint64]bool{}
	for _, l := range lines {
		there[l.Id] = true
	}
	free := len(lines) - 1
	for id, n := range won {
		if there[id] || n == 0 {
			continue
		}
		for free >= 0 && lines[free].Id != 0 {
			free--
		}
		if free < 0 {
			break
		}
		lines[free] = bpf.WaymarkMatchLine{Id: id, Earlier: n}
	}
}

// lineIDs tell the lines that are counted apart, by class, text, and place
// among those that are alike.
func lineIDs(p *plan.Plan) []uint64 {
	ids, seen := make([]uint64, min(len(p.Lines), MostHits)), map[uint64]bool{}
	for k := range ids {
		name := ""
		if c := p.Lines[k].Class; c != plan.NoClass {
			name = p.Classes[c].Name
		}
		h := fnv.New64a()
		h.Write([]byte(name + "\x00" + p.Lines[k].Text.String()))
		for n := uint32(0); ids[k] == 0 || seen[ids[k]]; n++ {
			h.Write(binary.NativeEndian.AppendUint32(nil, n))
			ids[k] = h.Sum64()
		}
		seen[ids[k]] = true
	}
	return ids
}

// settleLines has the lines in force begin where those of the version before,
// which no program reads any more, have ended.
func (i *Instance) settleLines() error {
	live, err := i.live()
	if err != nil {
		return err
	}
	return i.goOn(1-live, live)
}

// goOn has the lines of one version begin where those of another are.
func (i *Instance) goOn(from, to uint32) error {
	won, err := i.wonBy(from, MostHits)
	if err != nil {
		return err
	}
	return i.begin(to, won)
}

// begin raises what the lines of a version had won before to what they have
// won elsewhere.
func (i *Instance) begin(version uint32, elsewhere map[uint64]uint64) error {
	lines, err := i.linesOf(version, MostHits)
	if err != nil || lines == nil {
		return err
	}
	for k, l := range lines {
		if l.Id != 0 {
			lines[k].Earlier = max(l.Earlier, elsewhere[l.Id])
		}
	}
	bury(lines, elsewhere)
	return inMemory(i.maps.Matches, func(all []bpf.WaymarkMatchLine) { copy(all[int(version)*MostHits:], lines) })
}

// carryHits has the lines go on where an older instance's have ended.
func (i *Instance) carryHits(older *Instance) error {
	theirs, err := older.live()
	if err != nil {
		return err
	}
	ended, err := older.wonBy(theirs, MostHits)
	if err != nil {
		return err
	}
	ours, err := i.live()
	if err != nil {
		return err
	}
	return i.begin(ours, ended)
}
