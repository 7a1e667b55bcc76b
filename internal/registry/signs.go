// SPDX-License-Identifier: Apache-2.0

package registry

import "strings"

// Sign is by what else than its numbers a tool is known on a host. A name
// that ends with a * says how names begin.
type Sign struct {
	Tool       string   // as in Tools, if it has numbers
	Interfaces []string // that it makes
	Filters    []string // its tables of nftables, and its chains there and in iptables
	Programs   []string // its BPF programs, as the kernel has their names: 15 bytes
}

// Signs are all that are known.
var Signs = []Sign{
	{Tool: "Docker", Interfaces: []string{"docker0", "docker_gwbridge"}, Filters: []string{"DOCKER*", "docker-bridges"}},
	{Tool: "Tailscale", Interfaces: []string{"tailscale*"}, Filters: []string{"ts-*"}},
	{Tool: "wg-quick", Filters: []string{"wg-quick-*"}},
	{Tool: "mwan3", Filters: []string{"mwan3*"}},
	{Tool: "OpenWrt pbr", Filters: []string{"pbr_*"}},
	{Tool: "Cilium", Interfaces: []string{"cilium_*"}, Filters: []string{"CILIUM_*", "OLD_CILIUM_*"}, Programs: []string{"cil_*"}},
	{Tool: "Calico", Interfaces: []string{"cali*"}, Filters: []string{"cali-*", "calico"}},
	{Tool: "Calico eBPF", Interfaces: []string{"bpfin.cali", "bpfout.cali"}, Programs: []string{"cali_*", "calico_*"}},
	{Tool: "kube-proxy", Interfaces: []string{"kube-ipvs0"}, Filters: []string{"KUBE-*", "kube-proxy"}},
	{Tool: "CNI portmap, netavark", Filters: []string{"CNI-*", "NETAVARK*", "netavark", "cni_hostport"}},
	{Tool: "AWS VPC CNI", Filters: []string{"AWS-*"}},
	{Tool: "Antrea", Interfaces: []string{"antrea-gw0"}, Filters: []string{"ANTREA-*"}},
	{Tool: "Istio", Filters: []string{"ISTIO_*"}},
	{Tool: "OVN-Kubernetes", Interfaces: []string{"ovn-k8s-mp0"}, Filters: []string{"OVN-KUBE-*", "ovn-kubernetes"}},
	{Tool: "Weave Net", Interfaces: []string{"weave"}, Filters: []string{"WEAVE*"}},
	{Tool: "Talos KubeSpan", Interfaces: []string{"kubespan"}, Filters: []string{"talos"}},
	{Tool: "NetBird", Interfaces: []string{"wt0"}, Filters: []string{"NETBIRD-*", "netbird*"}},
	{Tool: "Mullvad", Interfaces: []string{"wg0-mullvad"}, Filters: []string{"mullvad*"}},
	{Tool: "NordVPN", Interfaces: []string{"nordlynx", "nordtun"}, Filters: []string{"nordvpn*"}},
	{Tool: "Firezone", Interfaces: []string{"tun-firezone"}},
	{Tool: "sing-box", Filters: []string{"sing-box"}},
	{Tool: "Portmaster", Filters: []string{"PORTMASTER-*"}},
	{Tool: "OpenSnitch", Filters: []string{"opensnitch*"}},
	{Tool: "AWS App Mesh", Filters: []string{"APPMESH_*"}},
	{Tool: "dae", Interfaces: []string{"dae0"}, Programs: []string{"tproxy_*"}},
	{Tool: "libvirt", Interfaces: []string{"virbr0"}, Filters: []string{"LIBVIRT_*", "libvirt_network"}},
	{Tool: "firewalld", Filters: []string{"firewalld"}},
	{Tool: "OpenWrt firewall", Filters: []string{"fw4"}},
	{Tool: "ufw", Filters: []string{"ufw*"}},
	{Tool: "systemd", Filters: []string{"io.systemd.*"}, Programs: []string{"sd_*"}},
}

// OwnerOfFilter is the tool whose table or chain one of the names is; "" for
// none.
func OwnerOfFilter(names ...string) string {
	return find(names, func(s Sign) []string { return s.Filters })
}

// OwnerOfProgram is the tool whose BPF program has the name; "" for none.
func OwnerOfProgram(name string) string {
	return find([]string{name}, func(s Sign) []string { return s.Programs })
}

// Made is the first of the interfaces that the tool makes; "" if none is its.
func (s Sign) Made(interfaces []string) string {
	for _, name := range interfaces {
		if anyIs(s.Interfaces, name) {
			return name
		}
	}
	return ""
}

func find(names []string, known func(Sign) []string) string {
	for _, s := range Signs {
		for _, name := range names {
			if anyIs(known(s), name) {
				return s.Tool
			}
		}
	}
	return ""
}

func anyIs(known []string, name string) bool {
	for _, k := range known {
		if begin, open := strings.CutSuffix(k, "*"); name == k || open && strings.HasPrefix(name, begin) {
			return true
		}
	}
	return false
}
