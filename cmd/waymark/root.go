// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
)

// The default policy, as its users keep it.
const (
	policyFile = "/etc/waymark/policy.yaml"
	policyDir  = "/etc/waymark/policy.d"
)

func newRoot(e env) *cobra.Command {
	root := &cobra.Command{
		Use:   "waymark",
		Short: "Mark each service's traffic with its egress class, and prove which uplink it took",
		Long: `Waymark marks each service's traffic with its egress class, makes the kernel
route that class by its uplink, and proves it with counters.

Exit codes: 0 done, 1 failed, 2 differs (plan --exit-code), 3 bad policy,
4 conflict with someone else's state, 5 not permitted or the kernel lacks it.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		newCheck(e), newPlan(e), newApply(e), newStatus(e), newExplain(e), newDown(e), newDemo(e),
	)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	return root
}
