// SPDX-License-Identifier: Apache-2.0

package main

import "context"

// The arms' names.
const (
	armBare        = "bare"
	armBareAgain   = "bare again"
	armEmpty       = "empty tcx"
	armWaymark     = "Waymark"
	armNftOne      = "nft one rule"
	armNftVerdicts = "nft verdict map"
	armNftMarks    = "nft mark map"
	armNftLinear   = "nft linear"
	armIptables    = "iptables -m cgroup"
)

// firstTool is the place of the first arm that takes a policy.
const firstTool = 3

// bestForms are the ways in which nft can carry the whole policy; its best
// is the one that adds least in the same measurement.
var bestForms = []string{armNftVerdicts, armNftMarks, armNftLinear}

func (s *suite) addOthers(ctx context.Context) error {
	w := &waymark{}
	for _, a := range []struct {
		name string
		kind classifier
	}{
		{armEmpty, &emptyProgram{}}, {armWaymark, w},
		{armNftOne, nft{nftOne, "out"}}, {armNftVerdicts, nft{nftVerdicts, "a"}}, {armNftMarks, nft{nftMarks, "out"}}, {armNftLinear, nft{nftLinear, "a"}},
		{armIptables, &iptables{}},
	} {
		if err := s.add(ctx, a.name, a.kind); err != nil {
			return err
		}
	}
	s.waymark = w.instance
	return nil
}
