// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"strconv"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// OpenFlow is a TCP connection, or a UDP socket that is connected, that is open.
type OpenFlow struct {
	Class   string        `json:"class"`        // that new flows of its kind have
	As      string        `json:"as,omitempty"` // the class that it leaves as, where that is another
	Mark    uint32        `json:"mark"`         // of the class that it leaves as; 0: none
	Uplink  string        `json:"uplink"`       // that it leaves by; "": none of the policy's
	Proto   string        `json:"proto"`        //
	Source  string        `json:"source"`       // address:port
	Peer    string        `json:"peer"`         // the same of the other end
	UID     uint32        `json:"uid"`          //
	Cgroup  string        `json:"cgroup"`       // of its socket, below the cgroup root
	Holders []host.Holder `json:"holders"`      // that have it open
}

// StayedFlows are those that do not leave as new flows of their class do, in no order:
// a change left them where they were, or they cannot leave elsewhere, for their source
// address is an uplink's own. An error that is fs.ErrNotExist says that nothing is
// applied.
func (l *Loader) StayedFlows() ([]OpenFlow, error) {
	w, err := l.surveyApplied()
	if err != nil {
		return nil, err
	}
	defer w.close()
	_, stayed, err := w.openFlows(l)
	if err != nil || len(stayed) == 0 {
		return []OpenFlow{}, err
	}
	var inodes []uint64
	for _, f := range stayed {
		inodes = append(inodes, f.Inode)
	}
	holders := host.SocketHolders(inodes)
	flows := make([]OpenFlow, len(stayed))
	for k, f := range stayed {
		flows[k] = l.openFlow(w.plan, f)
		flows[k].Holders = append(flows[k].Holders, holders[f.Inode]...)
	}
	return flows, nil
}

func (l *Loader) openFlow(p *plan.Plan, f datapath.OpenFlow) OpenFlow {
	s := OpenFlow{Class: classNamed(p, f.Due), Proto: classes.ProtocolName(f.Proto), Source: f.Source.String(), Peer: f.Peer.String(), UID: f.UID,
		Mark: f.Mark, Holders: []host.Holder{}}
	if f.Mark != f.Due {
		s.As = classNamed(p, f.Mark)
	}
	if u := p.UplinkNumbered(f.Uplink); u != nil {
		s.Uplink = u.Name
	}
	var err error
	if s.Cgroup, err = host.CgroupPath(l.root, f.Cgroup); err != nil {
		s.Cgroup = "id " + strconv.FormatUint(f.Cgroup, 10) + ", which is gone"
	}
	return s
}

func classNamed(p *plan.Plan, mark uint32) string {
	if c := p.ClassOf(mark); c != nil {
		return c.Name
	}
	return Unclassed
}

// away counts those that only their source keeps, by their class's mark and
// the number of the uplink that they leave by.
func away(stayed []datapath.OpenFlow) map[uint32]map[int]uint64 {
	n := map[uint32]map[int]uint64{}
	for _, f := range stayed {
		if f.Mark != f.Due {
			continue
		}
		if n[f.Due] == nil {
			n[f.Due] = map[int]uint64{}
		}
		n[f.Due][f.Uplink]++
	}
	return n
}

// openFlows counts the flows that are open, by line of counters, and lists
// those that stayed. Programs of another build may note them otherwise.
func (w *survey) openFlows(l *Loader) ([]datapath.Flows, []datapath.OpenFlow, error) {
	if w.instance == nil || !w.state.current() {
		return nil, nil, nil
	}
	namespaces, err := (&apply{Loader: l, survey: w}).others()
	if err != nil {
		return nil, nil, err
	}
	var others []func(func() error) error
	for _, n := range namespaces {
		defer n.Close()
		others = append(others, n.Do)
	}
	return w.instance.OpenFlows(others...)
}
