// SPDX-License-Identifier: Apache-2.0

// Package registry is who is known to use which fwmark bits, rule priorities
// and routing tables, as data with sources.
package registry

import "math/bits"

// Tool is one program and some of the numbers that are its own. A tool with
// several uses has several entries.
type Tool struct {
	Name       string
	Mark       uint32 // host byte order; with Mask 0xffffffff the mark that it matches whole
	Last       uint32 // of several marks in a row that it matches whole, the last; 0: there is Mark alone
	Mask       uint32 // the bits that it gives a meaning; 0: none
	Itself     bool   // its rules are for its own sockets' marks, which it gives to nothing else that they see
	Priorities Range  // of its ip rules
	Tables     Range  // of its routing tables
	Source     string // where it says so
}

// Range is some numbers in a row, both ends included; the zero value is
// empty.
type Range struct{ First, Last uint32 }

// holds tells whether a number is in the range.
func (r Range) holds(n uint32) bool { return r.First != 0 && r.First <= n && n <= r.Last }

// Whole is the mask of a mark that is matched bit for bit: another bit set in
// it makes it another mark.
const Whole = 1<<32 - 1

// Whole tells whether the tool matches its mark whole.
func (t Tool) Whole() bool { return t.Mask == Whole }

// Bits are the bits of the fwmark that the tool gives a meaning.
func (t Tool) Bits() uint32 {
	if !t.Whole() {
		return t.Mask
	}
	bits := t.Mark
	for m := t.Mark; m < t.Last; m++ {
		bits |= m + 1
	}
	return bits
}

// holds tells whether a mark that is matched whole is one of the tool's.
func (t Tool) holds(mark uint32) bool { return t.Mark <= mark && mark <= max(t.Mark, t.Last) }

// Tools are all that are known. Where two have claims to the same number, the
// one that is more often met stands first.
var Tools = []Tool{
	{Name: "Tailscale", Mask: 0xff0000, Itself: true, Priorities: Range{5210, 5270}, Tables: Range{52, 52}, Source: "tailscale/tailscale: tsconst/linuxfw.go, wgengine/router"},
	{Name: "Tailscale beside mwan3", Priorities: Range{1310, 1370}, Source: "tailscale/tailscale: wgengine/router/router_linux.go"},
	{Name: "Shorewall", Mask: 0xff0000, Priorities: Range{10000, 10255}, Source: "Shorewall: Perl/Shorewall/Providers.pm (providers, with PROVIDER_OFFSET=16)"},
	{Name: "wg-quick", Mark: 0xca6c, Last: 0xca80, Mask: Whole, Tables: Range{51820, 51840}, Source: "WireGuard/wireguard-tools: src/wg-quick/linux.bash"},
	{Name: "mwan3", Mask: 0x3f00, Priorities: Range{1001, 1250}, Source: "openwrt/packages: net/mwan3/files/lib/mwan3/common.sh"},
	{Name: "mwan3", Priorities: Range{2001, 2250}, Source: "openwrt/packages: net/mwan3"},
	{Name: "mwan3", Priorities: Range{3001, 3250}, Source: "openwrt/packages: net/mwan3"},
	{Name: "strongSwan", Priorities: Range{220, 220}, Tables: Range{220, 220}, Source: "strongswan/strongswan: conf/options/charon.opt (routing_table, routing_table_prio)"},
	{Name: "OpenWrt pbr", Mask: 0x00ff0000, Priorities: Range{29000, 30000}, Source: "openwrt/packages: net/pbr/files/etc/config/pbr"},
	{Name: "Cilium", Mask: 0xf00, Priorities: Range{9, 20}, Tables: Range{200, 202}, Source: "cilium/cilium: pkg/datapath/linux/linux_defaults"},
	{Name: "Cilium", Mask: 0xffff1fff, Source: "cilium/cilium: pkg/datapath/linux/linux_defaults (identity and IPsec)"},
	{Name: "Cilium", Priorities: Range{1, 1}, Source: "cilium/cilium: pkg/datapath/linux/linux_defaults (VTEP)"},
	{Name: "Calico", Mask: 0xffff0000, Source: "projectcalico/calico: felix, IptablesMarkMask"},
	{Name: "Calico eBPF", Mask: 0x1ff00000, Source: "projectcalico/calico: felix/bpf/tc/defs/defs.go"},
	{Name: "Calico eBPF", Mask: 0xc1000000, Source: "projectcalico/calico: felix/bpf/tc/defs/defs.go (0x41000000, 0x81000000)"},
	{Name: "kube-proxy", Mask: 0xc000, Source: "kubernetes/kubernetes: pkg/kubelet/kubelet_network_linux.go (0x4000 masquerade, 0x8000 drop)"},
	{Name: "CNI portmap, netavark", Mask: 0x2000, Source: "containernetworking/plugins: plugins/meta/portmap; containers/netavark"},
	{Name: "Docker overlay encryption", Mark: 0xd0c4e3, Mask: Whole, Source: "moby/moby: libnetwork/drivers/overlay/encryption.go"},
	{Name: "AWS VPC CNI", Mask: 0x80, Source: "aws/amazon-vpc-cni-k8s: pkg/networkutils"},
	{Name: "Antrea", Mask: 0x1, Source: "antrea-io/antrea: pkg/agent/types/marks.go"},
	{Name: "Istio", Mark: 0x539, Mask: 0xfff, Source: "istio/istio: tools/istio-iptables"},
	{Name: "OVN-Kubernetes", Mark: 0x1745ec, Mask: Whole, Priorities: Range{30, 30}, Tables: Range{7, 7}, Source: "ovn-org/ovn-kubernetes: go-controller/pkg/node"},
	{Name: "Weave Net", Mask: 0x60000, Source: "weaveworks/weave: npc/constants.go"},
	{Name: "Talos KubeSpan", Mask: 0x60, Priorities: Range{32500, 32501}, Source: "siderolabs/talos: pkg/machinery/constants"},
	{Name: "Cilium", Priorities: Range{109, 109}, Source: "cilium/cilium: pkg/datapath/linux/linux_defaults (rules of IPAM)"},
	{Name: "Cilium", Priorities: Range{111, 112}, Source: "cilium/cilium: pkg/datapath/linux/linux_defaults (rules of IPAM)"},
	{Name: "NetBird", Mark: 0x1bd00, Mask: Whole, Priorities: Range{105, 110}, Tables: Range{7120, 7120}, Source: "netbirdio/netbird: client/net/net.go"},
	{Name: "NetBird", Mark: 0x1bd10, Last: 0x1bdff, Mask: Whole, Source: "netbirdio/netbird: client/net/net.go (data plane)"},
	{Name: "Mullvad", Mark: 0x6d6f6c65, Mask: Whole, Source: "mullvad/mullvadvpn-app: talpid-core/src/linux"},
	{Name: "NordVPN", Mark: 0xe1f1, Mask: Whole, Source: "NordSecurity/nordvpn-linux: daemon/firewall/allowlist"},
	{Name: "Firezone", Mark: 0xfd002021, Mask: Whole, Source: "firezone/firezone: rust, FIREZONE_MARK"},
	{Name: "sing-box", Mark: 0x2023, Mask: Whole, Source: "SagerNet/sing-tun: redirect (in)"},
	{Name: "sing-box", Mark: 0x2024, Mask: Whole, Source: "SagerNet/sing-tun: redirect (out)"},
	{Name: "OpenSnitch", Mark: 0x18ba5, Mask: Whole, Source: "evilsocket/opensnitch: DropMark"},
	{Name: "Portmaster", Mark: 1700, Last: 1717, Mask: Whole, Source: "safing/portmaster: nfq/packet.go"},
	{Name: "Portmaster", Mark: 1799, Mask: Whole, Source: "safing/portmaster: nfq/packet.go (rerouted)"},
	{Name: "PassWall", Mark: 0xff, Mask: Whole, Source: "xiaorouji/openwrt-passwall: PR 4462"},
	{Name: "cgproxy", Mark: 0x9973, Mask: Whole, Tables: Range{10007, 10007}, Source: "springzfx/cgproxy: readme"},
	{Name: "AWS App Mesh", Mark: 0x1e7700ce, Mask: Whole, Source: "fwmark/registry"},
	{Name: "dae", Mask: 0x8000000, Tables: Range{2023, 2023}, Source: "daeuniverse/dae: control/kern/tproxy.c"},
	{Name: "ebpf-same-cgroup-mark", Mask: 0x40000000, Source: "powerman/ebpf-same-cgroup-mark: README"},
	{Name: "OVH managed Kubernetes", Mask: 0x20, Source: "netbirdio/netbird: client/net/net.go (its hosts match it in mangle and strip 0x4000)"},
	{Name: "Istio", Mark: 0x111, Mask: 0xfff, Source: "istio/istio: tools/istio-iptables (of connections)"},
	{Name: "Mullvad", Mark: 0xf41, Mask: Whole, Source: "mullvad/mullvadvpn-app: talpid-core/src/linux (of connections)"},
	{Name: "Antrea", Mask: 0xff, Source: "antrea-io/antrea: pkg/agent/types/marks.go (SNAT)"},
	{Name: "Android netd", Mask: 0x1ffff, Source: "AOSP system/netd: include/Fwmark.h (netId, explicit)"},
	{Name: "Android netd", Mask: 0xe01fffff, Source: "AOSP system/netd: include/Fwmark.h"},
	{Name: "FRR", Tables: Range{10000, 10999}, Source: "FRRouting/frr: zebra"},
}

// Use is what somebody on a host was seen to use; a zero field was not seen.
type Use struct {
	Priority   uint32 // of an ip rule
	Table      uint32
	Mark, Mask uint32
}

// Owner is the tool that most of a use is known for, of several the first;
// nil for none.
func Owner(u Use) (owner *Tool) {
	most := 0
	for i := range Tools {
		if n := Tools[i].knownFor(u); n > most {
			owner, most = &Tools[i], n
		}
	}
	return owner
}

// knownFor counts what of a use the tool is known for. Some of its bits count
// for less than just its mask, and for nothing where it claims most there are; a
// table counts for nothing by itself where administrators number theirs.
func (t Tool) knownFor(u Use) (n int) {
	const few, byHand = 8, 255
	if t.Priorities.holds(u.Priority) {
		n += 2
	}
	switch {
	case t.Mask == 0 || u.Mask == 0:
	case t.Mask == u.Mask && (t.Mark == 0 || t.holds(u.Mark)):
		n += 3
	case u.Mask&^t.Mask == 0 && bits.OnesCount32(t.Mask) <= few:
		n++
	}
	if t.Tables.holds(u.Table) && (n > 0 || u.Table > byHand) {
		n += 2
	}
	return n
}
