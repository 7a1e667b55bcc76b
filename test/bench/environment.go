// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// environment is what the figures depend on.
type environment struct {
	Time        time.Time         `json:"time"`
	Kernel      string            `json:"kernel"`
	CPU         string            `json:"cpu"`
	CPUs        int               `json:"cpus"`
	Load        float64           `json:"load"`  // of the last minute, before the bench began
	Quick       bool              `json:"quick"` // samples too small to mean anything
	Settings    map[string]string `json:"settings"`
	Mitigations map[string]string `json:"mitigations"`
	Tools       map[string]string `json:"tools"`
}

// mostLoad is the load above which others keep the machine busy.
const mostLoad = 1

func readEnvironment(quick bool) environment {
	e := environment{
		Quick: quick, Time: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(), Kernel: word("/proc/sys/kernel/osrelease"),
		Settings: map[string]string{}, Mitigations: map[string]string{}, Tools: map[string]string{},
	}
	load, _, _ := strings.Cut(word("/proc/loadavg"), " ")
	e.Load, _ = strconv.ParseFloat(load, 64)
	for line := range strings.Lines(word("/proc/cpuinfo")) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			e.CPU = strings.TrimSpace(value)
		}
	}
	for _, name := range []string{"net/core/bpf_jit_enable", "net/core/bpf_jit_harden", "kernel/bpf_stats_enabled"} {
		e.Settings[name] = word("/proc/sys/" + name)
	}
	files, _ := filepath.Glob("/sys/devices/system/cpu/vulnerabilities/*")
	for _, f := range files {
		if text := word(f); text != "Not affected" {
			e.Mitigations[filepath.Base(f)] = text
		}
	}
	for _, tool := range []string{"nft", "iptables-legacy", "iptables"} {
		if out, err := exec.Command(tool, "--version").Output(); err == nil {
			e.Tools[tool] = strings.TrimSpace(string(out))
		}
	}
	return e
}

func word(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}

func (e *environment) print(w io.Writer) {
	fmt.Fprintf(w, "Linux %s, %s, %s\n", e.Kernel, e.CPU, count(e.CPUs, "CPU"))
	if why := e.provisional(); why != "" {
		fmt.Fprintf(w, "PROVISIONAL: %s\n", why)
	}
	if e.Settings["net/core/bpf_jit_enable"] != "1" || e.Settings["kernel/bpf_stats_enabled"] != "0" {
		fmt.Fprintf(w, "CAUTION: BPF programs are interpreted or timed here: %v\n", e.Settings)
	}
}

// provisional says why the figures should not be quoted; "" if they may.
func (e *environment) provisional() string {
	switch {
	case e.Quick:
		return "these samples are too small to mean anything"
	case e.Load >= mostLoad:
		return fmt.Sprintf("the load was %.2f when the bench began, which is not below %d: other jobs are in these figures", e.Load, mostLoad)
	}
	return ""
}

// steal is CPU time since boot, in ticks.
type steal struct{ stolen, all float64 }

func readSteal() (s steal) {
	first, _, _ := strings.Cut(word("/proc/stat"), "\n")
	for i, field := range strings.Fields(first) {
		n, _ := strconv.ParseFloat(field, 64)
		// "cpu", then user, nice, system, idle, iowait, irq, softirq, steal, and guests, which are in user.
		if i >= 1 && i <= 8 {
			s.all += n
		}
		if i == 8 {
			s.stolen = n
		}
	}
	return s
}

// since is the part of the time since an earlier reading that was stolen.
func (s steal) since(earlier steal) float64 {
	if s.all == earlier.all {
		return 0
	}
	return (s.stolen - earlier.stolen) / (s.all - earlier.all)
}
