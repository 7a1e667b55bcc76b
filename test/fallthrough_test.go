// SPDX-License-Identifier: Apache-2.0

package test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waymark/internal/lab"
)

// TestNoPacketFallsThrough changes the policy again and again under a stream
// of new sockets of a class that never goes by main's uplink: whichever
// policy each of them met, it met a whole one.
func TestNoPacketFallsThrough(t *testing.T) {
	underChange(t, []string{
		threeUplinks + closedGroup("b"),
		threeUplinks + closedGroup("c"),
		threeUplinks + closedGroup("c, b"),
		"rules: {base: 2000}\ntables: {base: 8000}\n" + threeUplinks + closedGroup("b"),
		"uplinks:\n" + uplinkC + uplinkB + uplinkA + closedGroup("{b: 1, c: 1}"),
		threeUplinks + closedGroup("b, c"),
	})
}

// TestNoPacketFallsThroughWhenTheMaskChanges has the programs replaced, too.
func TestNoPacketFallsThroughWhenTheMaskChanges(t *testing.T) {
	underChange(t, []string{
		threeUplinks + closedGroup("b"),
		"mark: {mask: 0x00f00000}\n" + threeUplinks + closedGroup("c"),
		"mark: {mask: 0x00ff0000}\n" + threeUplinks + closedGroup("b"),
	})
}

func underChange(t *testing.T, policies []string) {
	t.Helper()
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, policies[0])
	s.drain(t)
	var sockets, changes atomic.Int32
	var clients sync.WaitGroup
	stop := make(chan bool)
	clients.Go(func() {
		for ; ; sockets.Add(1) {
			select {
			case <-stop:
				return
			default:
				before := changes.Load()
				if !s.oneMore(t, int(sockets.Load())) {
					t.Errorf("that was between changes %d and %d", before, changes.Load())
				}
			}
		}
	})
	for range 2 {
		for _, p := range policies {
			s.apply(t, p)
			changes.Add(1)
			// Each policy meets a few sockets of its own.
			for enough := sockets.Load() + 4; sockets.Load() < enough; time.Sleep(time.Millisecond) {
			}
		}
	}
	close(stop)
	clients.Wait()
	t.Logf("%d sockets met %d changes", sockets.Load(), 2*len(policies))
	at := s.collect(t, func(lab.Packet) bool { return true })
	if len(at[byA]) > 0 {
		t.Errorf("router a got %v, want nothing", at[byA])
	}
	if len(at[byB]) == 0 || len(at[byC]) == 0 {
		t.Errorf("routers b and c got %d and %d packets, want some each", len(at[byB]), len(at[byC]))
	}
}

// oneMore opens and uses a socket of the class, and tells whether all went well.
func (s *site) oneMore(t *testing.T, n int) bool {
	t.Helper()
	job := in("app.slice/x", ips[n/3%3].job([]lab.Kind{lab.TCP, lab.UDP, lab.SendTo}[n%3], 1))
	job.Count, job.Size = 3, 100
	r, err := s.Host.Run(job)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Errorf("%s to %s from %s with mark %#x: %v", job.Kind, job.To[0], r.Local, r.Mark, err)
	}
	return err == nil
}

// closedGroup is a class by cgroup that has no way but its route.
func closedGroup(route string) string {
	if route[0] != '{' {
		route = "[" + route + "]"
	}
	return "classes:\n  - {name: group, route: " + route + ", otherwise: unreachable, match: [{cgroup: app.slice}]}\n"
}
