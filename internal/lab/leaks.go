// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Held lists what labs of this process hold of the machine, one sorted line
// each: cgroups, child processes, and network namespaces held by a descriptor
// or a thread. Taken before New and after Close it is the same.
func Held() ([]string, error) {
	mount, err := cgroup2Mount()
	if err != nil {
		return nil, err
	}
	held, _ := filepath.Glob(filepath.Join(mount, fmt.Sprintf("%s%d-*", cgroupPrefix, os.Getpid())))
	for i := range held {
		held[i] = "cgroup " + held[i]
	}
	held = append(held, children()...)
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("list what is held: %w", err)
	}
	for _, pattern := range []string{"/proc/self/fd/*", "/proc/self/task/*/ns/net"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, "net:[") && target != home {
				held = append(held, "namespace "+target)
			}
		}
	}
	slices.Sort(held)
	return slices.Compact(held), nil
}

// children lists the processes that have this one as their parent.
func children() (list []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// "PID (NAME) STATE PARENT ...", and a name may hold anything.
		head, tail, _ := strings.Cut(string(text), " (")
		end := max(0, strings.LastIndex(tail, ")"))
		name, rest := tail[:end], tail[min(len(tail), end+1):]
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			list = append(list, "process "+head+" "+name)
		}
	}
	return list
}
