// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// ExplainSocket answers for an open TCP connection, or a UDP socket that is connected,
// by its own end, as `ss` shows it. What is given of its protocol, destination and
// destination's port tells it from others with that end. Match, class and mark are those
// of a new flow like it; the ways those of what it sends itself. An error that is
// fs.ErrNotExist says that nothing is applied.
func (l *Loader) ExplainSocket(end netip.AddrPort, given Question) (*Explanation, error) {
	w, err := l.surveyApplied()
	if err != nil {
		return nil, err
	}
	defer w.close()
	if w.instance == nil {
		return nil, fs.ErrNotExist
	}
	if !w.state.current() {
		return nil, fmt.Errorf("look at socket %s: the programs of another build of waymark are attached: `waymark apply` replaces them", end)
	}
	end = netip.AddrPortFrom(end.Addr().Unmap().WithZone(""), end.Port())
	flows, err := w.instance.FlowsFrom(end)
	if err != nil {
		return nil, err
	}
	f, err := only(end, slices.DeleteFunc(flows, func(f datapath.OpenFlow) bool { return !given.fits(f) }))
	if err != nil {
		return nil, err
	}
	return l.explainFlow(w, f)
}

// fits tells whether a flow has what is given of it.
func (q Question) fits(f datapath.OpenFlow) bool {
	return (q.Proto == 0 || q.Proto == f.Proto) && (q.Dport == 0 || q.Dport == f.Peer.Port()) &&
		(!q.Dst.IsValid() || q.Dst.Unmap().WithZone("") == f.Peer.Addr())
}

// only is the one flow that was found.
func only(end netip.AddrPort, flows []datapath.OpenFlow) (f datapath.OpenFlow, err error) {
	switch len(flows) {
	case 0:
		return f, fmt.Errorf("look at socket %s: no TCP connection and no connected UDP socket of this network namespace has that end: `ss -tun` lists them; what listens, or sends without being connected, has a way for each peer: ask with --dst", end)
	case 1:
		return flows[0], nil
	}
	const most = 3
	var peers []string
	for _, f := range flows[:min(most, len(flows))] {
		peers = append(peers, classes.ProtocolName(f.Proto)+" to "+f.Peer.String())
	}
	if len(flows) > most {
		peers = append(peers, fmt.Sprintf("%d more", len(flows)-most))
	}
	return f, fmt.Errorf("look at socket %s: %d have that end (%s): choose with --proto, --dst and --dport", end, len(flows), strings.Join(peers, ", "))
}

func (l *Loader) explainFlow(w *survey, f datapath.OpenFlow) (*Explanation, error) {
	q := Question{UID: f.UID, Proto: f.Proto, Dst: f.Peer.Addr(), Dport: f.Peer.Port()}
	if f.Chose.Address {
		q.Src = f.Source.Addr()
	}
	if f.Chose.Port {
		q.Sport = f.Source.Port()
	}
	q.Cgroup, _ = host.CgroupPath(l.root, f.Cgroup) // one that is gone is in no match
	x := w.answer(q)
	socket := l.openFlow(w.plan, f)
	socket.Holders = append(socket.Holders, host.SocketHolders([]uint64{f.Inode})[f.Inode]...)
	x.Socket = &socket
	q.Src, q.Sport = f.Source.Addr(), f.Source.Port()
	way, err := l.way(w, plan.FamilyOf(q.Dst), q, f.Mark)
	x.Ways = []Way{way}
	if way.Verdict.Uplink != "" {
		socket.Uplink = way.Verdict.Uplink // it may have sent nothing by it yet
	}
	return x, err
}
