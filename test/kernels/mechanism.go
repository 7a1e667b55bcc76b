// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// mechanisms are what Waymark can use of a kernel, in the page's order. Each
// is tried by the subtest of TestMechanisms that has its name.
var mechanisms = []string{
	"tcx link",
	"clsact filter",
	"cgroup/sock_create writes the mark",
	"cgroup/connect4 and 6 set SO_MARK",
	"cgroup/sendmsg4 and 6 set SO_MARK",
	"cgroup/sendmsg4 and 6 rewrite the datagram's source",
	"bpf_loop",
	"iter/tcp sets SO_MARK on an open socket",
	"iter/udp sets SO_MARK on an open socket",
	"iter/udp writes an open socket's storage",
	"bpf_sock_destroy from iter/tcp",
	"bpf_sock_destroy from iter/udp",
	"bpf_fib_lookup by mark, and bpf_redirect_neigh there",
	"bpf_fib_lookup in one table, and bpf_redirect_neigh there",
	"BPF_PROG_TEST_RUN on a packet shorter than its header",
	applies,
}

// lacks is what a test says that skips, before the mechanism that it wants.
const lacks = "this kernel lacks "

// applies is the mechanism without which the other tests need not be run.
const applies = "waymark apply"

const mechanismTest = "TestMechanisms"

// mechanismOf is the mechanism that a test tries, as `go test` spells it.
func mechanismOf(test string) (name string, ok bool) {
	test, ok = strings.CutPrefix(test, mechanismTest+"/")
	if !ok {
		return "", false
	}
	for _, m := range mechanisms {
		if strings.ReplaceAll(m, " ", "_") == test {
			return m, true
		}
	}
	return "", false
}
