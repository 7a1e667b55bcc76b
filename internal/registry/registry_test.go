// SPDX-License-Identifier: Apache-2.0

package registry

import "testing"

// Every entry is known for what it says, or shares all of that with one that
// stands before it.
func TestEveryToolIsKnownForItsOwn(t *testing.T) {
	for _, tool := range Tools {
		use := Use{Priority: tool.Priorities.First, Table: tool.Tables.First, Mark: tool.Mark, Mask: tool.Mask}
		owner := Owner(use)
		switch {
		case tool.Source == "":
			t.Errorf("%s has no source", tool.Name)
		case use == Use{}:
			t.Errorf("%s is known for nothing", tool.Name)
		case owner == nil || owner.Name != tool.Name:
			t.Errorf("%+v is owned by %+v, want %s", use, owner, tool.Name)
		}
	}
}

func TestOwner(t *testing.T) {
	for _, c := range []struct {
		use  Use
		want string
	}{
		{Use{}, ""},
		{Use{Priority: 7777, Table: 77, Mark: 1, Mask: 0x03000000}, ""},
		{Use{Mark: 0x40000, Mask: 0xff0000}, "Tailscale"},
		{Use{Priority: 29500, Mark: 0x10000, Mask: 0xff0000}, "OpenWrt pbr"},
		{Use{Mark: 0x80000, Mask: 0x80000}, "Tailscale"},
		{Use{Mark: 0xca6c, Mask: Whole}, "wg-quick"},
		{Use{Mark: 0xca6d, Mask: Whole}, "wg-quick"},
		{Use{Mark: 0x1bd77, Mask: Whole}, "NetBird"},
		{Use{Mark: 0x1be00, Mask: Whole}, ""},
		{Use{Mark: 1717, Mask: Whole}, "Portmaster"},
		{Use{Priority: 1500, Table: 200}, ""},
		{Use{Priority: 111, Table: 200}, "Cilium"},
		{Use{Table: 51820}, "wg-quick"},
		{Use{Mark: 0x20, Mask: 0x60}, "Talos KubeSpan"},
		{Use{Mark: 0x10000, Mask: 0xffff0000, Table: 52}, "Calico"},
	} {
		got := ""
		if owner := Owner(c.use); owner != nil {
			got = owner.Name
		}
		if got != c.want {
			t.Errorf("%+v is owned by %q, want %q", c.use, got, c.want)
		}
	}
}

func TestSigns(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{OwnerOfFilter("mangle", "ts-forward"), "Tailscale"},
		{OwnerOfFilter("mullvadmangle4", "mangle"), "Mullvad"},
		{OwnerOfFilter("wg-quick-wg0", "premangle"), "wg-quick"},
		{OwnerOfFilter("mangle", "OUTPUT"), ""},
		{OwnerOfProgram("cil_from_netdev"), "Cilium"},
		{OwnerOfProgram("calico_connect_"), "Calico eBPF"},
		{OwnerOfProgram("my_program"), ""},
	} {
		if c.got != c.want {
			t.Errorf("owned by %q, want %q", c.got, c.want)
		}
	}
	if bits := (Tool{Mark: 1700, Last: 1717, Mask: Whole}).Bits(); bits != 0x6bf {
		t.Errorf("1700 to 1717 set the bits %#x, want 0x6bf", bits)
	}
}
