// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const (
	head4 = "4500 0028 0001 0000 4006 0000 0a000102 cb007101"
	head6 = "6000 0000 0010 11 40 20010db8000100000000000000000002 20010db8000f00000000000000000001"
)

// packetCases are headers in hex, and what they say in words.
var packetCases = map[string]struct {
	etherType uint16
	bytes     string
	want      string
}{
	"tcp":               {unix.ETH_P_IP, head4 + "a8ca 0007 00000000 00000000 5012", "10.0.1.2:43210 > 203.0.113.1:7 proto 6 len 34 ttl 64 flags 0x12"},
	"tcp cut short":     {unix.ETH_P_IP, head4 + "a8", "10.0.1.2:0 > 203.0.113.1:0 proto 6 len 21 ttl 64 flags 0x00"},
	"options":           {unix.ETH_P_IP, "4600 0028 0001 0000 4011 0000 0a000102 cb007101 01010101 0001 0002", "10.0.1.2:1 > 203.0.113.1:2 proto 17 len 28 ttl 64"},
	"echo":              {unix.ETH_P_IP, "4500 0028 0001 4000 4001 0000 0a000102 cb007101 0800", "10.0.1.2:0 > 203.0.113.1:0 proto 1 len 22 ttl 64 type 8 code 0"},
	"first fragment":    {unix.ETH_P_IP, "4500 0028 0001 2000 4011 0000 0a000102 cb007101 0001 0002", "10.0.1.2:1 > 203.0.113.1:2 proto 17 len 24 ttl 64 fragment"},
	"later fragment":    {unix.ETH_P_IP, "4500 0028 0001 00b9 4011 0000 0a000102 cb007101 0001 0002", "10.0.1.2:0 > 203.0.113.1:0 proto 17 len 24 ttl 64 fragment"},
	"bad header length": {unix.ETH_P_IP, "4100 0028 0001 0000 4011 0000 0a000102 cb007101 0001 0002", "10.0.1.2:0 > 203.0.113.1:0 proto 17 len 24 ttl 64"},
	"udp6":              {unix.ETH_P_IPV6, head6 + "0001 0002 0010 0000", "[2001:db8:1::2]:1 > [2001:db8:f::1]:2 proto 17 len 48 ttl 64"},
	"hop-by-hop":        {unix.ETH_P_IPV6, strings.Replace(head6, "11", "00", 1) + "3a01 000000000000 0000000000000000 8000 0000 00000000", "[2001:db8:1::2]:0 > [2001:db8:f::1]:0 proto 58 len 64 ttl 64 type 128 code 0"},
	"first fragment 6":  {unix.ETH_P_IPV6, strings.Replace(head6, "11", "2c", 1) + "1100 0001 00000000 0001 0002 0010 0000", "[2001:db8:1::2]:1 > [2001:db8:f::1]:2 proto 17 len 56 ttl 64 fragment"},
	"later fragment 6":  {unix.ETH_P_IPV6, strings.Replace(head6, "11", "2c", 1) + "1100 0008 00000000 0001 0002 0010 0000", "[2001:db8:1::2]:0 > [2001:db8:f::1]:0 proto 17 len 56 ttl 64 fragment"},
	"endless extension": {unix.ETH_P_IPV6, strings.Replace(head6, "11", "00", 1) + "00ff 000000000000", "[2001:db8:1::2]:0 > [2001:db8:f::1]:0 proto 0 len 48 ttl 64"},
	"arp":               {unix.ETH_P_ARP, "0001 0800", "ethertype 0x0806 len 4"},
	"empty":             {unix.ETH_P_IP, "", "ethertype 0x0800 len 0"},
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParsePacket(t *testing.T) {
	for name, tt := range packetCases {
		t.Run(name, func(t *testing.T) {
			got := parsePacket(tt.etherType, unhex(t, tt.bytes)).String()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParsePacket(f *testing.F) {
	for _, tt := range packetCases {
		f.Add(tt.etherType, unhex(f, tt.bytes))
	}
	f.Fuzz(func(t *testing.T, etherType uint16, b []byte) {
		p := parsePacket(etherType, b)
		if p.Len != len(b) || p.EtherType != etherType {
			t.Errorf("%d bytes of 0x%04x became %s", len(b), etherType, p)
		}
		if ip := p.Src.Addr().IsValid(); ip != p.Dst.Addr().IsValid() || ip && p.Src.Addr().Is4() != (etherType == unix.ETH_P_IP) {
			t.Errorf("addresses do not fit 0x%04x: %s", etherType, p)
		}
	})
}

func TestEchoRequestIsItsOwnReplyOnlyAsReply(t *testing.T) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		m := echoRequest(family, 1, 3)
		if isEchoReply(false, family, m) {
			t.Error("a request passes for a reply")
		}
		m[0] = map[int]byte{unix.AF_INET: echoReply4, unix.AF_INET6: echoReply6}[family]
		if !isEchoReply(false, family, m) || isEchoReply(false, family, m[:echoHeader-1]) {
			t.Error("a reply is judged wrongly")
		}
	}
	if m := echoRequest(unix.AF_INET, 1, 3); Checksum(m) != 0 {
		t.Errorf("checksum over a message with its checksum is %#x, want 0", Checksum(m))
	}
}

func FuzzEchoReply(f *testing.F) {
	f.Add(true, true, []byte{0x4f, 0, 0, 0})
	f.Add(false, false, []byte{129})
	f.Fuzz(func(t *testing.T, raw, v4 bool, m []byte) {
		family := unix.AF_INET6
		if v4 {
			family = unix.AF_INET
		}
		if isEchoReply(raw, family, m) && len(m) < echoHeader {
			t.Errorf("%x is no echo reply", m)
		}
		answered(m)
		fromSame(m)
	})
}

func TestAtWritesTheNumberAsItReads(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.0.10.0/24":       "10.0.10.100/24",
		"2001:db8:50::/64":   "2001:db8:50::100/64",
		"2001:db8:1:20::/64": "2001:db8:1:20::100/64",
		"fe80::/64":          "fe80::100/64",
	} {
		if got := at(netip.MustParsePrefix(prefix), 100).String(); got != want {
			t.Errorf("number 100 of %s is %s, want %s", prefix, got, want)
		}
	}
}
