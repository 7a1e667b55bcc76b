// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

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

Exit codes: 0 done, 1 failed, 2 differs (plan --exit-code, verify) or serious (doctor),
3 bad policy, 4 conflict with someone else's state or a plan that the host no longer fits,
5 not permitted or the kernel lacks it.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		e.reads(newInit(e)), e.reads(newImport(e)), e.reads(newCheck(e)), e.reads(newPlan(e)), e.changes(newApply(e)), e.changes(newConfirm(e)), e.changes(newRollback(e)), newStatus(e), e.reads(newExplain(e)), e.reads(newDoctor(e)), newVerify(e), e.changes(newMove(e)), e.changes(newDown(e)),
		newRun(e), newMetrics(e), newTop(e), newWatch(e), newExec(e), newDemo(e), e.reads(newVersion(e)),
		newWait(e),
	)
	// Alone it prints its help, which is no use worth a line.
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable .HasParent}}", 1))
	root.SuggestionsMinimumDistance = 2
	root.Flags().Bool("version", false, "say which build this is, as the verb does")
	root.Args, root.RunE = cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
		if asked, _ := c.Flags().GetBool("version"); asked && len(args) == 0 {
			return thisBuild().print(e.stdout)
		}
		if len(args) == 0 {
			return c.Help()
		}
		return unknownVerb(c, args[0])
	}
	return root
}

func unknownVerb(root *cobra.Command, verb string) error {
	err := fmt.Errorf("there is no verb %q", verb)
	if near := root.SuggestionsFor(verb); len(near) > 0 {
		err = fmt.Errorf("%w (did you mean %s?)", err, strings.Join(near, " or "))
	}
	return usage(root, err)
}

// noArgs refuses words that are no flags.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes flags only, and %q is none", c.Name(), args[0])
	}
	return nil
}
