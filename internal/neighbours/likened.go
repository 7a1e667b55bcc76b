// SPDX-License-Identifier: Apache-2.0

package neighbours

import "waymark/internal/plan"

// likened tells whether a rule of others says no more than what rules of ours before
// it say, too: `ip rule del` with its words and without its priority removes ours.
func (h Host) likened(r plan.Rule) bool {
	return r.Action == plan.Lookup && r.Table == plan.TableMain && r.Suppress && r.Mask == 0 && r.Other == "" && r.OIF == "" && r.IsFromAll() &&
		int(r.Priority) >= h.base()
}

// likenedFinding is of wg-quick, which asks main first as Waymark does, and takes its
// rule away until none is left that is worded so for all.
func likenedFinding(r plan.Rule) Finding {
	return Finding{Warning, r.String(), "wg-quick, or its like",
		"`wg-quick down` removes rules with these words until this one is gone, and Waymark's by which classes ask main first come before it: containers, LANs and tunnels are out of their reach then, until the agent or the next `apply` puts them back",
		"run the agent, or say `PostDown = waymark apply` in the tunnel's configuration"}
}
