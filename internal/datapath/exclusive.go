// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// exclusive names the program that is attached to a cgroup so that no other
// can be: without BPF_F_ALLOW_MULTI, and by no link.
func exclusive(cgroup int, attach ebpf.AttachType) (owner string, ok bool) {
	attached, err := link.QueryPrograms(link.QueryOptions{Target: cgroup, Attach: attach})
	if err != nil || len(attached.Programs) != 1 {
		return "", false
	}
	id := attached.Programs[0].ID
	owner = fmt.Sprintf("BPF program %d", id)
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return owner, true
	}
	defer p.Close()
	if info, err := p.Info(); err == nil && info.Name != "" {
		owner += " (" + info.Name + ")"
	}
	return owner, true
}
