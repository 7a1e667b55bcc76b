// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"time"

	"waymark/internal/datapath"
	"waymark/internal/plan"
)

// Sample is everything that is counted, at one moment and under one policy.
// Counters count from the first apply; one never goes back, whatever becomes
// of policies, agents and builds in between.
type Sample struct {
	Time      time.Time      `json:"time"`
	Applied   time.Time      `json:"applied"`
	State     int            `json:"state"`     // number of the state in force
	Uplinks   []UplinkSample `json:"uplinks"`   // in the policy's order
	Classes   []ClassSample  `json:"classes"`   // in the policy's order, then Unclassed
	Lines     []LineSample   `json:"lines"`     // every class's matches, in the order in which they are tried
	Rules     []RuleSample   `json:"rules"`     // the ladder
	Overrides int            `json:"overrides"` // moves that are in force beside the policy
	Waiting   int            `json:"waiting"`   // what the policy names and the host does not have yet
	Drops     []DropSample   `json:"drops"`
	Turns     []TurnSample   `json:"turns"`
	Off       []string       `json:"off"` // what is not counted and why, in sentences
}

// UplinkSample is an uplink.
type UplinkSample struct {
	Name      string `json:"name"`
	Interface string `json:"interface"`
	Table     uint32 `json:"table"`
	Up        bool   `json:"up"` // classes leave by it now: its link is up, it has a way out, and is not withdrawn

	Gone datapath.Tally `json:"-"` // by all classes that the policy has no more together, without times
}

// TurnSample is how long the classes of an uplink that failed took to leave by
// another: from its last sign of life to their first packet.
type TurnSample struct {
	Uplink string             `json:"uplink"`
	Cause  string             `json:"cause"` // what it failed by
	Took   datapath.Histogram `json:"took"`
}

// ClassSample is a class.
type ClassSample struct {
	Name    string        `json:"name"`
	Mark    uint32        `json:"mark"`    // 0 of Unclassed
	Route   string        `json:"route"`   // as `status` says it; "" of Unclassed
	Way     []string      `json:"way"`     // names of its route's uplinks, in order
	Balance bool          `json:"balance"` // flows are spread over all of them that are up
	Uplink  string        `json:"uplink"`  // the first of them that is up; "" for none, and of Unclassed
	Open    uint64        `json:"open"`    // flows that are open now
	Kept    uint64        `json:"kept"`    // of them, open elsewhere, where a change found them
	Traffic []UplinkTally `json:"traffic"` // one for each uplink, in their order

	Gone datapath.Tally `json:"gone"` // by all uplinks that the policy has no more together, without times
}

// UplinkTally is what a class did by one uplink.
type UplinkTally struct {
	Uplink string `json:"uplink"`
	Away   uint64 `json:"away"` // open flows of the class that stay here for their source address is this uplink's, though new ones leave by another
	datapath.Tally
}

// LineSample is one match of a class.
type LineSample struct {
	Class string `json:"class"`
	Text  string `json:"text"`
	Where string `json:"where"` // file:line of the policy
	Hits  uint64 `json:"hits"`  // connects, datagrams of sockets that are not connected, and packets without a socket that it won
}

// RuleSample is one rung of the ladder.
type RuleSample struct {
	Rule    plan.Rule   `json:"rule"`
	Text    string      `json:"text"`              // as ip(8) says it
	Packets uint64      `json:"packets"`           // that left by its table's uplink for its sake: of its block's classes, with those that were bound to the uplink; for an uplink's address, these alone
	Classes []RuleClass `json:"classes,omitempty"` // whose they were
}

// RuleClass is what left of one class for a rule's sake.
type RuleClass struct {
	Class   string `json:"class"`
	Packets uint64 `json:"packets"`
}

// DropSample is what the kernel dropped of a class.
type DropSample struct {
	Class   string `json:"class"`
	Reason  string `json:"reason"`
	Place   string `json:"place"`
	Packets uint64 `json:"packets"`
}
