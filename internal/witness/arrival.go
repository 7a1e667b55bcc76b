// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
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
			!slices.ContainsFunc(r.Hops, func(h plan.NextHop) bool { return h.Interface == iface }) {
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

// packet is one of a flow, from its IP header on, whose sums are right: the first
// of a TCP connection, or a datagram.
func packet(f match.Flow) []byte {
	transport := make([]byte, 8)
	at := 6 // of the checksum
	if f.Proto == unix.IPPROTO_TCP {
		transport = make([]byte, 20)
		transport[12], transport[13], at = 5<<4, 2, 16 // five words of header; SYN
	} else {
		binary.BigEndian.PutUint16(transport[4:], uint16(len(transport)))
	}
	binary.BigEndian.PutUint16(transport, uint16(f.Sport))
	binary.BigEndian.PutUint16(transport[2:], uint16(f.Dport))
	pseudo := append(append(f.Src.AsSlice(), f.Dst.AsSlice()...), 0, byte(f.Proto), 0, byte(len(transport)))
	binary.BigEndian.PutUint16(transport[at:], checksum(append(pseudo, transport...)))
	header := []byte{0x60, 0, 0, 0, 0, byte(len(transport)), byte(f.Proto), 64}
	if f.Dst.Is4() {
		header = []byte{0x45, 0, 0, byte(20 + len(transport)), 0, 0, 0, 0, 64, byte(f.Proto), 0, 0}
	}
	header = append(append(header, f.Src.AsSlice()...), f.Dst.AsSlice()...)
	if f.Dst.Is4() {
		binary.BigEndian.PutUint16(header[10:], checksum(header))
	}
	return append(header, transport...)
}

// checksum is that of RFC 1071, of an even number of bytes.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for k := 0; k+1 < len(b); k += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[k:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
