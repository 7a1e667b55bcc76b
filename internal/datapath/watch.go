// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/plan"
)

// Watch sees what becomes of packets, one by one, by programs before and after
// an instance's. They go with it, however the process ends. An apply or a heal
// may put other hooks in the place of those that it watches: then it is blind,
// and Stale.
type Watch struct {
	instance *Instance
	shared   map[string]*ebpf.Map // between its programs, by name: the instance's, and its own
	hooks    map[string]link.ID   // of the instance, by pin
	links    []link.Link
	events   *ringbuf.Reader
}

// watchers are the programs that run beside those of ours at cgroups.
var watchers = map[string]string{
	bpf.WaymarkProgConnect4: bpf.WatchProgWatchConnect4,
	bpf.WaymarkProgConnect6: bpf.WatchProgWatchConnect6,
	bpf.WaymarkProgSendmsg4: bpf.WatchProgWatchSendmsg4,
	bpf.WaymarkProgSendmsg6: bpf.WatchProgWatchSendmsg6,
}

var watchObject = sync.OnceValues(bpf.LoadWatch)

// Watch begins to watch the instance's hooks, whose cgroups are at cgroupRoot.
// Flows and misroutes are seen where programs can be put before and after
// others (tcx, Linux 6.6); where they cannot, the error says so.
func (i *Instance) Watch(cgroupRoot string) (*Watch, error) {
	w := &Watch{instance: i, shared: i.named()}
	if err := w.begin(cgroupRoot); err != nil {
		w.Close()
		return nil, fmt.Errorf("watch: %w", err)
	}
	return w, nil
}

func (w *Watch) begin(cgroupRoot string) (err error) {
	if w.hooks, err = w.instance.watchable(); err != nil {
		return err
	}
	// The drops first: the maps that are made for them are all others' too.
	if err := w.attach(bpf.WatchProgWatchDropped, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachTracing(link.TracingOptions{Program: p})
	}); err != nil {
		return err
	}
	if w.events, err = ringbuf.NewReader(w.shared[bpf.WatchMapEvents]); err != nil {
		return err
	}
	for _, pin := range slices.Sorted(maps.Keys(w.hooks)) {
		h, _ := pinned(pin)
		if h.Program == plan.EgressProgram {
			err = w.uplink(h)
		} else {
			err = w.cgroup(h, cgroupRoot)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", pin, err)
		}
	}
	return nil
}

// watchable are the instance's links that are watched. One that is cut is none.
func (i *Instance) watchable() (map[string]link.ID, error) {
	hooks, err := i.Hooks("")
	if err != nil {
		return nil, err
	}
	ids := map[string]link.ID{}
	for _, h := range hooks {
		if watchers[h.Program] == "" && h.Program != plan.EgressProgram {
			continue
		}
		l, err := link.LoadPinnedLink(i.pin(h), nil)
		if err != nil && h.Program == plan.EgressProgram {
			return nil, &Unsupported{[]string{"tcx, which lets a program run beside another (6.6)"}}
		}
		if err != nil {
			continue
		}
		info, err := l.Info()
		l.Close()
		if err != nil {
			return nil, err
		}
		ids[h.Pin] = info.ID
	}
	return ids, nil
}

// uplink puts one program before that of an uplink, and one behind it.
func (w *Watch) uplink(h plan.Hook) error {
	theirs, err := link.LoadPinnedLink(w.instance.pin(h), nil)
	if err != nil {
		return err
	}
	defer theirs.Close()
	info, err := theirs.Info()
	if err != nil {
		return err
	}
	at := info.TCX()
	if at == nil || at.Ifindex == 0 {
		return nil // its interface is gone
	}
	for name, anchor := range map[string]link.Anchor{bpf.WatchProgWatchBefore: link.BeforeLink(theirs), bpf.WatchProgWatchAfter: link.AfterLink(theirs)} {
		err := w.attach(name, func(p *ebpf.Program) (link.Link, error) {
			return link.AttachTCX(link.TCXOptions{Interface: int(at.Ifindex), Program: p, Attach: ebpf.AttachTCXEgress, Anchor: anchor})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Watch) cgroup(h plan.Hook, root string) error {
	dir, err := os.Open(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	return w.attach(watchers[h.Program], func(p *ebpf.Program) (link.Link, error) {
		return link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: p, Attach: cgroupAttach[h.Program]})
	})
}

// attach verifies a program that watches a hook, and puts it in its place.
func (w *Watch) attach(name string, put func(*ebpf.Program) (link.Link, error)) error {
	program, err := w.load(name)
	if err != nil {
		return err
	}
	defer program.Close()
	l, err := put(program)
	if errors.Is(err, unix.ERANGE) {
		return fmt.Errorf("attach %s: too many watch already for one more to find room: end another watch", name)
	}
	if err != nil {
		return fmt.Errorf("attach %s: %w", name, err)
	}
	w.links = append(w.links, l)
	return nil
}

func (w *Watch) load(name string) (*ebpf.Program, error) {
	spec, err := w.instance.watchSpec()
	if err != nil {
		return nil, err
	}
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	shared := map[string]*ebpf.Map{}
	for m := range spec.Maps {
		if have, ok := w.shared[m]; ok {
			shared[m] = have
		}
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared, Cache: kernelTypes})
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		return nil, fmt.Errorf("load program %s: the verifier refuses it: %+v", name, verifier)
	}
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", name, err)
	}
	defer collection.Close()
	for m := range spec.Maps {
		if _, ok := w.shared[m]; !ok && m[0] != '.' {
			w.shared[m] = collection.DetachMap(m)
		}
	}
	return collection.DetachProgram(name), nil
}

// watchSpec is the watching programs with the instance's constants.
func (i *Instance) watchSpec() (*ebpf.CollectionSpec, error) {
	read, err := watchObject()
	if err != nil {
		return nil, fmt.Errorf("read the built-in BPF object: %w", err)
	}
	ours, err := i.spec()
	if err != nil {
		return nil, err
	}
	spec := read.Copy()
	for name, v := range spec.Variables {
		if same, ok := ours.Variables[name]; ok {
			v.Value = same.Value
		}
	}
	return spec, nil
}

// Read returns the next event, or os.ErrDeadlineExceeded when none is there
// after wait. Few events do not wake it: it looks at the end of wait.
func (w *Watch) Read(wait time.Duration) (e bpf.WatchEvent, err error) {
	w.events.SetDeadline(time.Now().Add(wait))
	record, err := w.events.Read()
	if err != nil {
		return e, err
	}
	if len(record.RawSample) < int(unsafe.Sizeof(e)) {
		return e, fmt.Errorf("an event of %d bytes", len(record.RawSample))
	}
	return *(*bpf.WatchEvent)(unsafe.Pointer(&record.RawSample[0])), nil
}

// Since is how many packets of a flow were dropped, or went astray, after the
// last event that says so.
func (w *Watch) Since(flow bpf.WatchWatchFlow, dropped bool) (uint64, error) {
	var told bpf.WatchWatchTold
	err := w.shared[bpf.WatchMapTold].Lookup(&flow, &told)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, nil // others took its place
	}
	if dropped {
		return told.Dropped, err
	}
	return told.Astray, err
}

// Untold is how many events there was no room for.
func (w *Watch) Untold() (n uint64, err error) {
	var perCPU []uint64
	err = w.shared[bpf.WatchMapUntold].Lookup(uint32(0), &perCPU)
	for _, c := range perCPU {
		n += c
	}
	return n, err
}

// Stale tells whether there are other hooks than it watches.
func (w *Watch) Stale() (bool, error) {
	now, err := w.instance.watchable()
	return !maps.Equal(now, w.hooks), err
}

// Close ends it. The instance stays as it is.
func (w *Watch) Close() {
	if w.events != nil {
		w.events.Close()
	}
	for _, l := range w.links {
		l.Close()
	}
	theirs := w.instance.named()
	for name, m := range w.shared {
		if theirs[name] == nil {
			m.Close()
		}
	}
}
