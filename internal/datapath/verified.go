// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"

	"waymark/internal/plan"
)

// copyOf is a program and the constants that hooks differ in: hooks alike in these
// have the same program, as a thousand containers' interfaces do.
type copyOf struct {
	program                              string
	uplink, master, filtered, linkHeader uint32
}

func copyFor(h plan.Hook) copyOf {
	return copyOf{h.Program, uint32(h.Uplink), uint32(h.Master), truth(h.Filtered), linkHeader(net.InterfaceByName(h.Place))}
}

// verified is a program that waits to be attached, and by how many hooks.
type verified struct {
	program *ebpf.Program
	hooks   int
}

// Verify has the kernel verify the programs of hooks, each copy once and on all CPUs,
// which is most of what it takes to attach them. Attach uses them, once for each hook;
// so the first and the last are in force within a moment, and one that the kernel
// refuses is found before anything is changed. On error none is kept.
func (i *Instance) Verify(hooks []plan.Hook) error {
	waiting, copies := map[copyOf]int{}, []copyOf(nil)
	for _, h := range hooks {
		c := copyFor(h)
		if waiting[c]++; waiting[c] == 1 {
			copies = append(copies, c)
		}
	}
	programs, refused := i.loadAll(copies)
	i.verified = map[copyOf]*verified{}
	for k, c := range copies {
		if programs[k] != nil {
			i.verified[c] = &verified{programs[k], waiting[c]}
		}
	}
	for _, err := range refused {
		if err != nil {
			i.forgetVerified()
			return err
		}
	}
	return nil
}

// loadAll loads copies on all CPUs at once; a program is nil where there is an error.
func (i *Instance) loadAll(copies []copyOf) ([]*ebpf.Program, []error) {
	programs, refused := make([]*ebpf.Program, len(copies)), make([]error, len(copies))
	cpus := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for k, c := range copies {
		all.Go(func() {
			cpus <- struct{}{}
			programs[k], refused[k] = i.load(c)
			<-cpus
		})
	}
	all.Wait()
	return programs, refused
}

// take is a copy that was verified, or is now, for one hook: the caller closes it.
func (i *Instance) take(c copyOf) (*ebpf.Program, error) {
	v := i.verified[c]
	if v == nil {
		return i.load(c)
	}
	if v.hooks--; v.hooks == 0 {
		delete(i.verified, c)
		return v.program, nil
	}
	return v.program.Clone() // to pin it a second time would move the first pin
}

// forgetVerified gives programs back that nobody attached.
func (i *Instance) forgetVerified() {
	for _, v := range i.verified {
		v.program.Close()
	}
	i.verified = nil
}
