// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const copyCommands = `
ip link add lan7 type veth peer name lan8; ip link set lan8 up; ip addr add 198.51.100.1/28 dev lan7; ip link set lan7 up
ip link add br7 type bridge; ip link set br7 up; ip addr add 198.51.100.65/28 dev br7; ip link add port7 type veth peer name port8
ip link set port7 master br7; ip link set port7 up; ip link set port8 up; ip route add 172.22.0.0/16 via 198.51.100.66
ip link add br8 type bridge; ip link set br8 up; ip addr add 198.51.100.81/28 dev br8
ip link add down0 type veth peer name down1
ip addr add 10.0.1.77/32 dev up-a noprefixroute
ip addr add 2001:db8:1::77/128 dev up-a nodad noprefixroute preferred_lft 0 valid_lft 3600
ip route add default table 50 nexthop via 10.0.1.1 weight 3 nexthop via 10.0.2.1
ip route add 192.0.2.0/24 via 10.9.9.9 dev up-b onlink metric 7 src 10.0.2.2 table 51 proto 77
ip route add blackhole 192.0.2.128/25 table 51
ip route add 172.20.0.0/16 via 198.51.100.2 mtu 1400
ip -6 route add 2001:db8:77::/48 via fe80::1 dev up-b
ip -6 route add unreachable 2001:db8:78::/48 metric 9
ip -6 route add default table 52 nexthop via 2001:db8:1::1 nexthop via 2001:db8:2::1
ip rule add priority 40 iif lan7 fwmark 0x7/0xff lookup 50
ip rule add priority 41 uidrange 10-20 ipproto tcp dport 1-5 lookup 51 protocol 77
ip rule add priority 42 from 198.51.100.1 to 192.0.2.0/24 ipproto udp prohibit
ip rule add priority 43 not from 10.0.0.0/8 lookup main suppress_prefixlength 0
ip -6 rule add priority 44 from 2001:db8::/32 oif up-b goto 32766
ip rule del priority 32767
nft add table inet ours; nft add chain inet ours c
nft add table inet theirs; nft 'add set inet theirs marks { type mark; elements = { 0x5, 0x6 }; }'; nft 'add chain inet theirs last'
nft 'add chain inet theirs out { type route hook output priority mangle; policy drop; }'
nft 'add rule inet theirs out meta skuid 2000 meta mark @marks meta mark set meta mark and 0xffffff00 or 0x7'
nft 'add rule inet theirs out tcp dport vmap { 22 : jump last, 23 : drop }'; nft add rule inet theirs last counter reject
iptables -t mangle -A PREROUTING -i up-b -p tcp -j MARK --set-xmark 0x10/0xff; iptables -P FORWARD DROP; iptables -A OUTPUT -d 198.51.100.99 -j REJECT
echo 2 >/proc/sys/net/ipv4/conf/up-b/rp_filter
echo 1 >/proc/sys/net/ipv4/ip_forward
`

const vrfCommands = `
ip link set vrf7 up; ip link add ext7 type veth peer name ext8; ip link set ext7 master vrf7; ip link set ext8 up; ip link set ext7 up
ip addr add 192.0.2.1/28 dev ext7; ip route add default via 192.0.2.2 table 70
`

// TestCopy copies a host that has something of everything, and compares what
// ip(8) says of both.
func TestCopy(t *testing.T) {
	l := newLab(t, Options{})
	if out, err := l.Host.Command("sh", "-ec", copyCommands).CombinedOutput(); err != nil {
		t.Fatal(err, out)
	}
	// Some kernels are built without.
	if l.Host.Command("ip", "link", "add", "vrf7", "type", "vrf", "table", "70").Run() == nil {
		if out, err := l.Host.Command("sh", "-ec", vrfCommands).CombinedOutput(); err != nil {
			t.Fatal(err, out)
		}
	}
	tunnel := exists("/dev/net/tun")
	if tunnel {
		if out, err := l.Host.Command("sh", "-ec", "ip tuntap add tun9 mode tun; ip addr add 10.8.0.1 peer 10.8.0.2 dev tun9; ip link set tun9 up; ip route add 10.7.0.0/16 dev tun9").CombinedOutput(); err != nil {
			t.Fatal(err, out)
		}
	}
	if err := l.Unplug(1); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"up-b", "br7"} {
		if _, err := l.Host.Stats(name); err != nil { // has the kernel take notice, as a copy does
			t.Fatal(err)
		}
	}
	var c *Copy
	err := l.Host.Do(func() (err error) {
		c, err = NewCopy(77, "ours")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if len(c.Left) > 0 {
		t.Errorf("left out: %q", c.Left)
	}
	for _, command := range []string{"ip -4 rule", "ip -6 rule", "ip -4 route show table all", "ip -6 route show table all", "ip -4 -br addr", "ip -6 -br addr", "ip -6 -br addr show deprecated",
		"cat /proc/sys/net/ipv4/conf/up-b/rp_filter /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/up-a/forwarding"} {
		if diff := cmp.Diff(said(t, l.Host, command), said(t, c.Host, command)); diff != "" {
			t.Errorf("%s (-host +copy):\n%s", command, diff)
		}
	}
	for command, want := range map[string][]string{
		"nft list tables":            {"table ip mangle", "table inet theirs", "table ip filter"},
		"nft list table inet theirs": {"policy accept", "meta skuid 2000 meta mark", "elements = { 0x00000005, 0x00000006 }", "22 : jump last", "23 : accept", "counter", "accept"},
		"iptables-save":              {"-A PREROUTING -i up-b -p tcp -j MARK --set-xmark 0x10/0xff", ":FORWARD ACCEPT", "-A OUTPUT -d 198.51.100.99/32 -j ACCEPT"},
	} {
		has := strings.Join(said(t, c.Host, command), "\n")
		for _, w := range want {
			if !strings.Contains(has, w) {
				t.Errorf("%s of the copy says nothing of %q: %s", command, w, has)
			}
		}
		if strings.Contains(has, "table inet ours") {
			t.Errorf("%s: what was to be left out is there: %s", command, has)
		}
	}
	arrives(t, c)
	for _, name := range []string{"up-a", "br7", "tun9"}[:2+len(c.tunnels)] {
		if err := errors.Join(c.Unplug(name), c.Plug(name)); err != nil {
			t.Error(err)
		}
	}
}

// arrives has a packet come in by a port of the bridge, and sees it forwarded.
func arrives(t *testing.T, c *Copy) {
	t.Helper()
	capture, err := c.Far.Capture("up-a")
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	packet := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 66, 192, 0, 2, 9, 0, 7, 0, 9, 0, 8, 0, 0}
	binary.BigEndian.PutUint16(packet[10:], 0x8e52)
	if err := c.Arrive("br7", packet); err != nil {
		t.Fatal(err)
	}
	if _, err := capture.Wait(1, time.Minute, func(p Packet) bool { return p.Dst == netip.MustParseAddrPort("192.0.2.9:9") }); err != nil {
		t.Error(err)
	}
}

var otherEnd = regexp.MustCompile(`@\S+`)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// said are the lines of a command in a node, without those of the protocol
// that is left out, in an order of their own. A cable's other end is another.
func said(t *testing.T, n *Node, command string) (lines []string) {
	t.Helper()
	err := n.Do(func() error {
		words := strings.Fields(command)
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			line = otherEnd.ReplaceAllString(line, "")
			if !strings.Contains(line, "proto 77") && !strings.Contains(line, "protocol 77") {
				lines = append(lines, strings.Join(strings.Fields(line), " "))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(command, err)
	}
	slices.Sort(lines)
	return lines
}
