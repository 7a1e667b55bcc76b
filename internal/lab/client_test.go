// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestClientOptions(t *testing.T) {
	l := newLab(t, Options{AllDefaults: true})
	must[*Server](t)(l.Far.Serve(7))
	a, b := l.Uplink(0), l.Uplink(1)
	two := append(to4(1, 7), to4(2, 7)...)
	tests := map[string]struct {
		job  Job
		want Result
	}{
		"device": {
			Job{Kind: TCP, To: to4(1, 7), Device: "up-b"},
			Result{Replies: []string{b.Address4.String()}},
		},
		"bound source": {
			Job{Kind: UDP, To: to6(1, 7), Bind: netip.AddrPortFrom(b.Address6, 0), Count: 1},
			Result{Replies: []string{b.Address6.String()}, Sent: 1},
		},
		"source of each datagram": {
			Job{Kind: SendTo, To: to4(1, 7), Source: b.Address4, Count: 2},
			Result{Replies: []string{b.Address4.String(), b.Address4.String()}, Sent: 2},
		},
		"source of each datagram, IPv6": {
			Job{Kind: SendTo, To: to6(1, 7), Source: b.Address6, Count: 1},
			Result{Replies: []string{b.Address6.String()}, Sent: 1},
		},
		"two destinations": {
			Job{Kind: SendTo, To: two, Count: 1, NoReply: true},
			Result{Sent: 2},
		},
		"mark": {
			Job{Kind: Ping, To: to4(1, 0), Mark: 0x1000, Count: 1},
			Result{Replies: []string{a.Address4.String()}, Sent: 1, Mark: 0x1000},
		},
		"stream": {
			Job{Kind: TCP, To: to6(1, 7), Count: 3, Size: 1 << 20},
			Result{Replies: []string{a.Address6.String()}, Sent: 3 << 20},
		},
		"mark without the right to": {
			Job{Kind: UDP, To: to4(1, 7), Mark: 1, UID: 1000, GID: 1000},
			Result{Call: "SO_MARK", Errno: "EPERM"},
		},
		"address that is not ours": {
			Job{Kind: TCP, To: to4(1, 7), Bind: netip.MustParseAddrPort("192.0.2.1:0")},
			Result{Call: "bind", Errno: "EADDRNOTAVAIL"},
		},
		"nobody listens": {
			Job{Kind: TCP, To: to4(1, 8)},
			Result{Call: "connect", Errno: "ECONNREFUSED"},
		},
		"no reply": {
			Job{Kind: SendTo, To: to4(1, 8), Count: 1, Timeout: 50 * time.Millisecond},
			Result{Sent: 1, Call: "recv", Errno: "ETIMEDOUT"},
		},
		"refused datagram": {
			Job{Kind: UDP, To: to4(1, 8), Count: 1},
			Result{Sent: 1, Call: "recv", Errno: "ECONNREFUSED"},
		},
		"no destination": {
			Job{Kind: UDP},
			Result{Call: "job", Errno: "EDESTADDRREQ"},
		},
		"unknown kind": {
			Job{Kind: "sctp", To: to4(1, 7)},
			Result{Call: "job", Errno: "EINVAL"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := must[Result](t)(l.Host.Run(tt.job))
			got.Replies = addresses(got.Replies)
			got.PID, got.Local, got.Cookie, got.Elapsed = 0, netip.AddrPort{}, 0, 0
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// IPv6 only: for IPv4 the kernel takes the destination to be on the device's link.
func TestNoRoute(t *testing.T) {
	l := newLab(t, Options{})
	r := must[Result](t)(l.Host.Run(Job{Kind: TCP, To: to6(1, 7), Device: "up-b"}))
	if r.Call != "connect" || r.Errno != "ENETUNREACH" {
		t.Errorf("by a device without a route: %s %s, want connect ENETUNREACH", r.Call, r.Errno)
	}
}

func TestOpenClient(t *testing.T) {
	l := newLab(t, Options{})
	must[*Server](t)(l.Far.Serve(7))
	for name, job := range map[string]Job{
		"tcp":     {Kind: TCP, To: to4(1, 7)},
		"mptcp":   {Kind: MPTCP, To: to4(1, 7)},
		"udp":     {Kind: UDP, To: to6(1, 7)},
		"sendto":  {Kind: SendTo, To: to4(1, 7)},
		"rawping": {Kind: RawPing, To: to4(1, 7)},
	} {
		t.Run(name, func(t *testing.T) {
			c := must[*Client](t)(l.Host.Open(job))
			check(t, c.Opened.Err())
			for range 2 {
				r := must[Result](t)(c.Send(3, 100))
				check(t, r.Err())
				want := 3
				if job.Kind == TCP || job.Kind == MPTCP {
					want = 300
				}
				if r.Sent != want || r.Cookie != c.Opened.Cookie || r.PID != c.PID() {
					t.Errorf("sent %d by socket %d of %d, want %d by %d of %d",
						r.Sent, r.Cookie, r.PID, want, c.Opened.Cookie, c.PID())
				}
			}
			check(t, c.Close())
			if _, err := c.Send(1, 1); err == nil {
				t.Error("a closed client sent")
			}
			check(t, c.Close())
		})
	}
}

func TestServerClosesOpenConnection(t *testing.T) {
	l := newLab(t, Options{})
	s := must[*Server](t)(l.Far.Serve(0))
	c := must[*Client](t)(l.Host.Open(Job{Kind: TCP, To: to4(1, s.Port)}))
	check(t, c.Opened.Err())
	check(t, s.Close())
	r := must[Result](t)(c.Send(1, 10))
	if r.Errno != "EOF" && r.Errno != "ECONNRESET" {
		t.Errorf("send after the server's end: %v, want EOF or ECONNRESET", r.Err())
	}
}

// The client's first socket finds the process where it is to be.
func TestClientIsPlacedBeforeItsFirstSocket(t *testing.T) {
	l := newLab(t, Options{})
	must[*Server](t)(l.Far.Serve(7))
	c := must[*Client](t)(l.Host.Open(Job{Kind: TCP, To: to4(1, 7), Cgroup: "app.slice/x.service", UID: 1234, GID: 5678}))
	check(t, c.Opened.Err())
	cgroups := string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.PID()))))
	if want := "0::/" + l.CgroupPath("app.slice/x.service") + "\n"; !strings.HasSuffix(cgroups, want) {
		t.Errorf("cgroups are\n%swant %s", cgroups, want)
	}
	status := string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))))
	for _, want := range []string{"Uid:\t1234\t1234\t1234\t1234\n", "Gid:\t5678\t5678\t5678\t5678\n", "Groups:\t \n"} {
		if !strings.Contains(status, want) {
			t.Errorf("status has no %q:\n%s", want, status)
		}
	}
	// ss knows the cgroup a socket was made in.
	sockets := must[string](t)(l.Host.Command("ss", "-tnH", "--cgroup").Output())
	if want := "cgroup:/" + l.CgroupPath("app.slice/x.service"); !strings.Contains(sockets, want) {
		t.Errorf("no socket with %s:\n%s", want, sockets)
	}
}

func TestOpenRefusesProgramWithoutClientMain(t *testing.T) {
	clientMainCalled.Store(false)
	defer clientMainCalled.Store(true)
	if _, err := (&Node{}).Open(Job{Kind: UDP}); err == nil || !strings.Contains(err.Error(), "ClientMain") {
		t.Errorf("error is %v, want one that names ClientMain", err)
	}
}
