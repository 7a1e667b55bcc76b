// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
)

// kernelTypes are the kernel's types, read once: that takes as long as to
// verify some of the programs, and they never change.
var kernelTypes = btf.NewCache()

// Unsupported is the error of a kernel that lacks something Waymark cannot
// do without.
type Unsupported struct {
	Missing []string
}

func (u *Unsupported) Error() string {
	return "this kernel lacks " + strings.Join(u.Missing, ", ") + ": Linux 6.1 has all that is needed"
}

// Probe asks the kernel for each thing that every instance needs. The error
// is an *Unsupported, or says why the kernel could not be asked.
func Probe() error {
	var missing []string
	for _, f := range []struct {
		name  string
		probe func() error
	}{
		{"the cgroup/sock_create hook", func() error { return features.HaveProgramType(ebpf.CGroupSock) }},
		{"the cgroup/connect hooks", func() error { return features.HaveProgramType(ebpf.CGroupSockAddr) }},
		{"tc programs", func() error { return features.HaveProgramType(ebpf.SchedCLS) }},
		{"BPF socket storage", func() error { return features.HaveMapType(ebpf.SkStorage) }},
		{"maps of maps", func() error { return features.HaveMapType(ebpf.ArrayOfMaps) }},
		{"bpf_loop (5.17)", func() error { return features.HaveProgramHelper(ebpf.CGroupSockAddr, asm.FnLoop) }},
		{"bpf_setsockopt in the cgroup hooks", func() error { return features.HaveProgramHelper(ebpf.CGroupSockAddr, asm.FnSetsockopt) }},
		{"network namespace cookies", func() error { return features.HaveProgramHelper(ebpf.CGroupSock, asm.FnGetNetnsCookie) }},
	} {
		err := f.probe()
		if errors.Is(err, ebpf.ErrNotSupported) {
			missing = append(missing, f.name)
		} else if err != nil {
			return fmt.Errorf("probe the kernel for %s: %w", f.name, err)
		}
	}
	if missing != nil {
		return &Unsupported{missing}
	}
	return nil
}
