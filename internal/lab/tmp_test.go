package lab

import (
	"net/netip"
	"testing"
	"time"
)

func TestTmpFirst(t *testing.T) {
	for range 100 {
		l := newLab(t, Options{Uplinks: 3, AllDefaults: true})
		must[*Server](t)(l.Far.Serve(7))
		u := l.Uplink(0)
		r, _ := l.Routers[0].Capture("down")
		up, _ := l.Routers[0].Capture("up")
		h, _ := l.Host.Capture("up-a")
		f, _ := l.Far.Capture("to-a")
		for _, to := range [][]netip.AddrPort{to4(1, 7), to6(1, 7)} {
			res := must[Result](t)(l.Host.Run(Job{Kind: UDP, To: to, Device: u.Interface, Count: 1, Timeout: time.Second}))
			if res.Err() != nil {
				a, _ := r.Packets()
				b, _ := h.Packets()
				c, _ := f.Packets()
				d, _ := up.Packets()
				t.Error(res, to, "\nrouter", a, "\nrouter up", d, "\nhost", b, "\nfar", c)
				out, _ := l.Far.Command("sh", "-c", "ip -6 r show table all; ip -6 a; nstat -a").Output()
				t.Log(out)
				out, _ = l.Routers[0].Command("sh", "-c", "ip r; ip -6 r show table all; ip -6 a; ip n; nstat -a").Output()
				t.Log(out)
			}
		}
		l.Close()
	}
}
