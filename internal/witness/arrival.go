// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"waymark/internal/plan"
)

// arrivalPatience is how long a packet that came in is waited for at the way
// out: nobody is told when the kernel has forwarded it.
const arrivalPatience = 2 * time.Second

// arrive has a packet of an attempt come in by its interface, and looks where it
// leaves; why says why it cannot. wait is for one that leaves nowhere.
func (i *injection) arrive(a attempt, wait time.Duration) (e evidence, why string, err error) {
	name, flow := i.device(int(a.flow.IIF)), a.flow
	if flow.Src.IsUnspecified() {
		flow.Src = i.behind(name, a.family)
	}
	flow.Cgroup, flow.UID = "", math.MaxUint32
	if flow.Sport == 0 {
		flow.Sport = arrivalPort
	}
	switch forwards := i.Facts.Sysctls[plan.ForwardingNames[a.family]]; {
	case i.copy == nil:
		return e, "what comes in is seen in a copy of the host alone: leave out --on-host", nil
	case forwards == "" || forwards == "0":
		return e, fmt.Sprintf("this host does not forward %s", a.family), nil
	case !flow.Src.IsValid():
		return e, fmt.Sprintf("main knows no %s network behind %s", a.family, name), nil
	case !i.wins(a.line, flow):
		return e, fmt.Sprintf("what comes in by %s from %s is of another class", name, flow.Src), nil
	}
	var watch *eye
	err = i.within(func() (err error) {
		watch, err = openEye(flow.Dst)
		return err
	})
	if err != nil {
		return e, "", err
	}
	defer watch.close()
	e.Local = netip.AddrPortFrom(flow.Src, uint16(flow.Sport))
	own := func(s sight) bool { return uint32(s.Proto) == flow.Proto && uint32(s.Dport) == flow.Dport }
	// The first packet is lost of a connection whose source was translated for
	// another way.
	for end := time.Now().Add(wait); len(e.left) == 0 && time.Now().Before(end); {
		if err := i.copy.Arrive(name, packet(flow)); err != nil {
			return e, err.Error(), nil
		}
		seen, err := watch.sights(sightPatience, own)
		if err != nil {
			return e, "", err
		}
		e.left = slices.DeleteFunc(seen, func(s sight) bool { return !own(s) })
	}
	return e, "", nil
}

// arrivalPort is what a packet comes from whose match names no port.
const arrivalPort = 47114

// behind is an address of a machine behind an interface, as main knows it;
// invalid: main knows of none.
func (i *injection) behind(iface string, family plan.Family) netip.Addr {
	for _, r := range i.Facts.Routes {
		if r.Family != family || r.Table != plan.TableMain || r.IsDefault() || r.Dst.Addr().IsLinkLocalUnicast() ||
			!r.LeadsBy(iface) {
			continue
		}
		a := r.Dst.Masked().Addr()
		for a.IsValid() && (!r.Dst.IsSingleIP() && a == r.Dst.Masked().Addr() || slices.Contains(i.Facts.Own, a)) {
			a = a.Next()
		}
		if r.Dst.Contains(a) {
			return a
		}
	}
	return netip.Addr{}
}
