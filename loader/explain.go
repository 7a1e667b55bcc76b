// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
)

// Question is a flow to explain. Zero fields are not known.
type Question struct {
	Cgroup string     `json:"cgroup"` // path below the cgroup root
	UID    uint32     `json:"uid"`
	Proto  uint8      `json:"proto"`
	Src    netip.Addr `json:"src"` // of a bound socket
	Dst    netip.Addr `json:"dst"`
	Sport  uint16     `json:"sport"`
	Dport  uint16     `json:"dport"`

	Interface string `json:"interface,omitempty"` // that the socket is bound to; "": none
}

// Explanation says what a policy does with a flow, and for each family what
// way out follows.
type Explanation struct {
	Question Question  `json:"question"`
	Line     string    `json:"line,omitempty"`     // the match that wins; "" for none
	Position string    `json:"position,omitempty"` // file:line:column of it
	Class    string    `json:"class"`
	Mark     uint32    `json:"mark"`
	Mask     uint32    `json:"mask"`
	Socket   *OpenFlow `json:"socket,omitempty"` // that was asked for
	Ways     []Way     `json:"ways"`
}

// Way is the way out in one family: as the plan has it, and as the kernel
// says when it is asked with the same mark.
type Way struct {
	Family  plan.Family  `json:"family"`
	Verdict plan.Verdict `json:"verdict"`
	Kernel  *rpdb.Answer `json:"kernel,omitempty"` // nil: not asked, for no destination was given
	Differs []string     `json:"differs"`
}

// Explain answers from a policy.
func (l *Loader) Explain(policy *classes.Policy, q Question) (*Explanation, error) {
	w, err := l.survey(wanted{policy: policy})
	if err != nil {
		return nil, err
	}
	defer w.close()
	x := w.answer(q)
	for _, family := range plan.Families {
		if q.asks(family) {
			way, err := l.way(w, family, q, x.Mark)
			if err != nil {
				return nil, err
			}
			x.Ways = append(x.Ways, way)
		}
	}
	return x, nil
}

// answer says which match takes a flow, and no way yet.
func (w *survey) answer(q Question) *Explanation {
	x := &Explanation{Question: q, Class: Unclassed, Mask: uint32(w.plan.Mask)}
	if line := w.plan.Winner(q.flow()); line != nil {
		x.Line, x.Position = line.Text.String(), line.Pos.String()
		x.Class, x.Mark = w.plan.ClassName(line.Class), w.plan.ClassMark(line.Class)
	}
	return x
}

func (q Question) asks(f plan.Family) bool {
	return (!q.Dst.IsValid() || plan.FamilyOf(q.Dst) == f) && (!q.Src.IsValid() || plan.FamilyOf(q.Src) == f)
}

// flow is the question as the connect hook would see it.
func (q Question) flow() match.Flow {
	f := match.Flow{Cgroup: q.Cgroup, UID: q.UID, Proto: uint32(q.Proto), Src: q.Src.Unmap(), Dst: q.Dst.Unmap(),
		Sport: uint32(q.Sport), Dport: uint32(q.Dport)}
	if f.Dst.IsValid() && !f.Src.IsValid() {
		f.Src = netip.IPv6Unspecified()
		if f.Dst.Is4() {
			f.Src = netip.IPv4Unspecified()
		}
	}
	return f
}

func (l *Loader) way(w *survey, family plan.Family, q Question, mark uint32) (Way, error) {
	way := Way{Family: family, Differs: []string{}}
	way.Verdict = w.plan.Resolve(w.facts, plan.Packet{Family: family, Dst: q.Dst.Unmap(), Src: q.Src.Unmap(), Mark: mark, Interface: q.Interface})
	if !q.Dst.IsValid() {
		return way, nil
	}
	answer, err := l.rules.Lookup(rpdb.Query{Dst: q.Dst.Unmap(), Src: q.Src.Unmap(), Mark: mark, UID: q.UID,
		Proto: q.Proto, Sport: q.Sport, Dport: q.Dport, Interface: q.Interface})
	if err != nil {
		return way, err
	}
	way.Kernel = &answer
	way.Differs = differences(way.Verdict, answer)
	return way, nil
}

// differences says in words where the kernel's answer is another.
func differences(v plan.Verdict, a rpdb.Answer) []string {
	out := []string{}
	if v.Does() == plan.Lookup && a.Err == "" && a.Table != plan.TableLocal && v.Rule.Table != a.Table {
		out = append(out, differs("table", plan.TableName(v.Rule.Table), plan.TableName(a.Table)))
	}
	return append(out, otherWays(v, a)...)
}

// otherWays says where it is another way, whichever table knows it. What is to
// this host itself no plan is about.
func otherWays(v plan.Verdict, a rpdb.Answer) []string {
	refuses := v.Does() != plan.Lookup
	switch {
	case a.Err == "" && a.Table == plan.TableLocal:
	case refuses && a.Err == "":
		return []string{differs("way", "none ("+string(v.Does())+")", a.Interface)}
	case !refuses && a.Err != "":
		return []string{differs("way", v.Interface, a.Err)}
	case !refuses && !leads(v.Route, a):
		return []string{differs("next hop", text(v.Gateway)+" dev "+v.Interface, text(a.Gateway)+" dev "+a.Interface)}
	}
	return nil
}

func differs(what, ours, kernel string) string {
	return fmt.Sprintf("%s: the plan says %s, the kernel %s", what, ours, kernel)
}

func leads(r plan.Route, a rpdb.Answer) bool {
	for _, h := range r.Hops {
		if h.Interface == a.Interface && h.Gateway == a.Gateway {
			return true
		}
	}
	return false
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return "on the link"
	}
	return "via " + a.String()
}

// Process is what a running process would be asked as: its cgroup below the
// root, and its uid.
func (l *Loader) Process(pid int) (cgroup string, uid uint32, err error) {
	return host.Process(l.root, pid)
}

// Unit is the cgroup of a system unit that runs, below the cgroup root.
func (l *Loader) Unit(name string) (cgroup string, err error) {
	paths, err := host.UnitCgroups(l.root, match.Cgroup{Unit: name})
	switch {
	case err != nil:
		return "", err
	case len(paths) == 0 && len(host.UnknownUnits([]string{name})) > 0:
		return "", fmt.Errorf("find unit %s: systemd has none of that name: `systemctl list-unit-files` lists those it has", name)
	case len(paths) == 0:
		return "", fmt.Errorf("find unit %s: it has no cgroup below %s: start it, or name with --cgroup where it will be", name, l.root)
	case len(paths) > 1:
		slices.Sort(paths)
		return "", fmt.Errorf("find unit %s: it may be any of %s: name one with --cgroup", name, strings.Join(paths, ", "))
	}
	return paths[0], nil
}

// CheckNames reports what is wrong with a policy on this host, such as users
// that it does not have, as classes.Problems.
func CheckNames(policy *classes.Policy) error {
	return plan.Check(policy, host.Users(namesIn(policy, nil).users))
}
