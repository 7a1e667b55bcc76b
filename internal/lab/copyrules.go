// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// copyRules makes the copy's rules those of the host, as the kernel writes
// them. That of VRFs came with the first of their devices.
func (c *Copy) copyRules(without uint8) error {
	for _, family := range families {
		theirs, err := dumpRules(family)
		if err != nil {
			return err
		}
		theirs = slices.DeleteFunc(theirs, func(rule []byte) bool { return attribute(rule, unix.FRA_PROTOCOL) == without && without != 0 })
		err = c.Host.Do(func() error {
			have, err := dumpRules(family)
			if err != nil {
				return err
			}
			for _, rule := range have {
				if !containsRule(theirs, rule) {
					if err := sendRule(unix.RTM_DELRULE, 0, rule); err != nil {
						return err
					}
				}
			}
			for _, rule := range theirs {
				if containsRule(have, rule) {
					continue
				}
				if err := sendRule(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, rule); err != nil {
					c.Left = append(c.Left, fmt.Sprintf("a rule with priority %d: %v", attribute32(rule, unix.FRA_PRIORITY), err))
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("copy rules: %w", err)
		}
	}
	return nil
}

func containsRule(rules [][]byte, rule []byte) bool {
	return slices.ContainsFunc(rules, func(r []byte) bool { return bytes.Equal(r, rule) })
}

// dumpRules are the rules of the calling thread's namespace, as netlink
// messages without their headers.
func dumpRules(family int) ([][]byte, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETRULE, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(family))
	rules, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWRULE)
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	return rules, nil
}

func sendRule(kind, flags int, rule []byte) error {
	req := nl.NewNetlinkRequest(kind, flags|unix.NLM_F_ACK)
	req.AddRawData(rule)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// attribute is the first byte of an attribute of a rule; 0 for none.
func attribute(rule []byte, kind uint16) uint8 {
	return uint8(attribute32(rule, kind))
}

func attribute32(rule []byte, kind uint16) (value uint32) {
	attributes, err := nl.ParseRouteAttr(rule[unix.SizeofRtMsg:])
	if err != nil {
		return 0
	}
	for _, a := range attributes {
		if a.Attr.Type == kind && len(a.Value) >= 4 {
			return nl.NativeEndian().Uint32(a.Value)
		}
		if a.Attr.Type == kind && len(a.Value) == 1 {
			return uint32(a.Value[0])
		}
	}
	return 0
}
