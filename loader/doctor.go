// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/neighbours"
	"waymark/internal/plan"
)

// Doctor looks at everything else on this host that touches marks, rules,
// tables and filters. policy is the one to judge by; nil: the one that is
// applied, or, if none is, what the policy language says where a policy is
// silent. Nothing is changed. What cannot be read is named in the report.
func (l *Loader) Doctor(policy *classes.Policy) (neighbours.Report, error) {
	h := neighbours.Host{Mask: plan.Mask(classes.DefaultMask)}
	var unread error
	if policy == nil {
		policy, unread = l.Applied()
	}
	if err := l.judgeBy(policy, &h); err != nil {
		return neighbours.Report{}, err
	}
	report, err := l.examine(h)
	if unread != nil && !errors.Is(unread, fs.ErrNotExist) {
		report.Unseen = append(report.Unseen, fmt.Sprintf("the policy that is applied, so that all this is judged by what a policy says where it is silent: %v", unread))
	}
	return report, err
}

// examine adds to what a policy is judged by what no plan asks for, and
// reports what is found.
func (l *Loader) examine(h neighbours.Host) (neighbours.Report, error) {
	var unseen []string
	miss := func(err error) {
		if err != nil {
			unseen = append(unseen, strings.Split(err.Error(), "\n")...)
		}
	}
	var lacking *datapath.Unsupported
	if err := datapath.Probe(); errors.As(err, &lacking) {
		h.Lacks = lacking
	} else if err != nil {
		return neighbours.Report{}, err
	}
	miss(l.scan(&h))
	miss(scanFilters(&h))
	report := neighbours.Examine(h)
	report.Unseen = append(report.Unseen, unseen...)
	return report, nil
}

// judgeBy fills in what the host is for a policy, or for none.
func (l *Loader) judgeBy(policy *classes.Policy, h *neighbours.Host) error {
	if policy == nil {
		return l.judgeByDefault(h)
	}
	w, err := l.survey(wanted{policy: policy})
	if err != nil {
		return err
	}
	defer w.close()
	*h = w.neighbourhood()
	return nil
}

// neighbourhood is what a plan is judged by.
func (w *survey) neighbourhood() neighbours.Host {
	h := neighbours.Host{Facts: w.facts, Plan: w.plan, Mask: w.plan.Mask, Conflict: w.conflict}
	for _, u := range w.plan.Uplinks {
		h.Uplinks = append(h.Uplinks, u.Interface)
	}
	return h
}

// judgeByDefault does it where there is no policy.
func (l *Loader) judgeByDefault(h *neighbours.Host) error {
	f, err := l.waysOut()
	if err != nil {
		return err
	}
	h.Facts = f
	for name := range f.Links {
		h.Uplinks = append(h.Uplinks, name)
	}
	slices.Sort(h.Uplinks)
	if h.Facts.Silent, err = datapath.Silent(); err != nil {
		return err
	}
	if h.Facts.InUse, err = host.SocketMarks(); err != nil {
		return err
	}
	return nil
}

// scan adds what no plan asks for.
func (l *Loader) scan(h *neighbours.Host) error {
	var errs []error
	interfaces, err := host.Interfaces()
	errs = append(errs, err)
	for _, i := range interfaces {
		h.Interfaces = append(h.Interfaces, neighbours.Interface{Name: i.Name, MTU: i.MTU})
	}
	names := append(plan.SysctlNames(h.Uplinks), "net/ipv4/ip_forward", "net/ipv4/conf/all/src_valid_mark",
		"net/ipv4/tcp_fwmark_accept", "net/ipv4/fwmark_reflect", "net/ipv6/fwmark_reflect")
	h.Facts.Sysctls, err = host.Sysctls(names)
	errs = append(errs, err)
	uses, err := host.XfrmUses()
	errs = append(errs, err)
	for _, u := range uses {
		h.Xfrm = append(h.Xfrm, neighbours.Use{What: u.What, Sets: u.Sets, Mark: neighbours.Mark{Mark: u.Mark, Mask: u.Mask}, Remove: u.Remove})
	}
	errs = append(errs, l.scanPrograms(h), scanHolders(h))
	if host.Runs("systemd-networkd") {
		n := neighbours.Networkd(host.ReadNetworkd(""))
		h.Networkd = &n
	}
	if host.Runs("NetworkManager") {
		for _, c := range host.ReadNetworkManager("") {
			h.NetworkManager = append(h.NetworkManager, neighbours.Connection(c))
		}
	}
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	h.Resolv = string(resolv)
	return errors.Join(errs...)
}

// scanFilters adds what filters and tunnels say of themselves.
func scanFilters(h *neighbours.Host) error {
	var missed []error
	h.Iptables, h.Nft, missed = readFilters()
	text, err := host.Output("wg", "show", "all", "fwmark")
	if err != nil && !errors.Is(err, host.ErrNotInstalled) {
		missed = append(missed, err)
	}
	h.WireGuard = text
	return errors.Join(missed...)
}

// scanPrograms adds BPF programs and what tc does, with who has them.
func (l *Loader) scanPrograms(h *neighbours.Host) error {
	others, uses, err := datapath.Others(l.root, h.Uplinks)
	holders := map[uint32][]host.Holder{}
	if len(others) > 0 {
		holders = host.ProgramHolders()
	}
	for _, o := range others {
		h.Programs = append(h.Programs, neighbours.Program{Place: o.Place, Name: o.Name, ID: o.ID, Holders: words(holders[o.ID])})
	}
	for _, u := range uses {
		h.TC = append(h.TC, neighbours.Use{What: u.What, Sets: u.Sets, Mark: neighbours.Mark{Mark: u.Mark, Mask: u.Mask}, Remove: u.Remove})
	}
	return err
}

// scanHolders adds who has the sockets that carry marks, and leaves out the marks
// that no open socket carries: a plan needs them, for what a closed connection still
// sends, but they are in nobody's way.
func scanHolders(h *neighbours.Host) error {
	holders, err := host.MarkHolders()
	if err != nil {
		return err
	}
	h.Holders, h.Facts.InUse = map[uint32][]string{}, map[uint32]bool{}
	for mark, of := range holders {
		h.Holders[mark] = words(of)
		h.Facts.InUse[mark] = true
	}
	return nil
}

func words(holders []host.Holder) (all []string) {
	for _, h := range holders {
		all = append(all, h.String())
	}
	return all
}
