// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"runtime"
	"sync"

	"github.com/cilium/ebpf"

	"waymark/internal/plan"
)

// Verify has the kernel verify the programs of hooks, on all CPUs at once, which is
// most of what it takes to attach them. Attach uses them, each once; so the first
// and the last are in force within a moment, and one that the kernel refuses is
// found before anything is changed. On error none is kept.
func (i *Instance) Verify(hooks []plan.Hook) error {
	programs, refused := make([]*ebpf.Program, len(hooks)), make([]error, len(hooks))
	cpus := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for k, h := range hooks {
		all.Go(func() {
			cpus <- struct{}{}
			programs[k], refused[k] = i.load(h)
			<-cpus
		})
	}
	all.Wait()
	i.verified = map[plan.Hook]*ebpf.Program{}
	for k, h := range hooks {
		if programs[k] != nil {
			i.verified[h] = programs[k]
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

// forgetVerified gives programs back that nobody attached.
func (i *Instance) forgetVerified() {
	for _, p := range i.verified {
		p.Close()
	}
	i.verified = nil
}
