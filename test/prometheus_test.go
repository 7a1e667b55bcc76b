// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// seenPolicy has a class of each sort that the dashboards speak of: one in
// use, one with a match that nothing meets, one without a way out; and an
// uplink that is probed.
const seenPolicy = `uplinks:
  - {name: a, interface: up-a, probe: {icmp: [203.0.113.1]}}
` + uplinkB + uplinkC + `classes:
  - name: trader
    route: [b]
    match: [{uid: 2000}, {uid: 2001}]
  - name: idle
    route: [a, b]
    match: {cgroup: idle.slice}
  - name: stranded
    route: [c]
    match: {cgroup: stranded.slice}
  - name: turned
    route: [c, b]
    match: {uid: 2002}
`

// TestPrometheus has two real ones scrape a host with traffic, one of which
// keeps native histograms. Every expression of every dashboard and rule gives
// data in both, and the numbers are those of `status`.
func TestPrometheus(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.mark(t)
	s.agentOn(t, append(s.write(t, seenPolicy), "--listen", exporterAddress)...)
	servers := []*prometheusServer{
		s.prometheus(t, "classic", 9090, exporterAddress),
		s.prometheus(t, "native", 9091, exporterAddress, "--enable-feature=native-histograms"),
	}
	end := s.busy(t)
	for _, p := range servers {
		soon(t, p.name+" scrapes", func() error { return p.hasData("waymark_policy_state") })
	}
	never := `waymark_uplink_convergence_seconds{uplink="b",cause="address"}`
	if values, err := servers[1].query(never); err != nil || len(values) != 1 || values[0].Histogram == nil {
		t.Errorf("what was never counted is no native histogram, so that the first count is no increase: %v, %v", values, err)
	}
	unplug(t, s, byC)                                                           // now, for what was before the first scrape is no increase
	s.write(t, seenPolicy+"  - {name: late, route: [a], match: {uid: 2003}}\n") // which the agent applies
	for _, p := range servers {
		expressions := s.withoutOff(t, everyExpression(t))
		soon(t, p.name+" has data", func() (missing error) {
			expressions = slices.DeleteFunc(expressions, func(e string) bool {
				err := p.hasData(e)
				missing = errors.Join(missing, err)
				return err == nil
			})
			return missing
		})
		soon(t, "the alerts are active in "+p.name, func() error { return p.alerts("WaymarkUplinkDown", "WaymarkClassWithoutWayOut") })
	}
	end()
	s.quiet(t)
	counted := s.counted(t)["trader"]["b"]
	for _, p := range servers {
		soon(t, p.name+" says what status says", func() error {
			packets, err := p.number(`sum(waymark_class_transmit_packets_total{class="trader",uplink="b"})`)
			bytes, bytesErr := p.number(`sum(waymark_class_transmit_bytes_total{class="trader",uplink="b"})`)
			if got := (count{uint64(packets), uint64(bytes)}); got != counted {
				return errors.Join(err, bytesErr, fmt.Errorf("%v, want %v", got, counted))
			}
			return nil
		})
	}
}

// unplug takes an uplink's cable until the end of the test.
func unplug(t *testing.T, s *site, uplink int) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Plug(uplink); err != nil {
			t.Error(err)
		}
	})
	if err := s.Unplug(uplink); err != nil {
		t.Fatal(err)
	}
}

// busy makes everything happen that is counted, again and again, until it is
// told to end: connections that are opened and refused, datagrams, and packets
// that the kernel drops.
func (s *site) busy(t *testing.T) (end func()) {
	t.Helper()
	stop, done := make(chan bool), make(chan error, 1)
	to := func(address string) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(address)} }
	jobs := []struct {
		*lab.Node
		lab.Job
	}{
		{s.Host, lab.Job{Kind: lab.TCP, To: to("203.0.113.1:7"), Count: 100, Size: 1400, UID: 2000, GID: 2000}},
		{s.Host, lab.Job{Kind: lab.UDP, To: to("[2001:db8:f::1]:7"), Count: 20, Size: 100, UID: 2000, GID: 2000}},
		{s.Host, lab.Job{Kind: lab.UDP, To: to("203.0.113.1:7"), Count: 1, Size: 1, UID: 2002, GID: 2002}},  // by b, for c is unplugged
		{s.Host, lab.Job{Kind: lab.TCP, To: to("203.0.113.1:1"), UID: 2000, GID: 2000}},                     // refused
		{s.Routers[byA], lab.Job{Kind: lab.SendTo, To: to("10.0.1.2:9"), Count: 1, Size: 1, NoReply: true}}, // dropped by the host
	}
	go func() {
		for {
			for _, job := range jobs {
				if _, err := job.Run(job.Job); err != nil {
					done <- err
					return
				}
			}
			select {
			case <-stop:
				done <- nil
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() {
		t.Helper()
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

var (
	recorded    = regexp.MustCompile(`(?m)^ +- record: (\S+)`)
	inRules     = regexp.MustCompile(`\bwaymark[_:][\w:]+`)
	annotations = regexp.MustCompile(`(?m)^ +(summary|description|- alert):.*$`)
)

// ofAll puts values for the variables of an expression, that choose everything.
var ofAll = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$instance", ".*", `="$class"`, `=~".*"`, "$class", ".*", "$uplink", ".*")

// everyExpression is what has to give data: what the panels ask, without
// their variables, and each series that the rules look at. A rule itself gives
// data only when something is wrong; promtool's cases are for that.
func everyExpression(t *testing.T) []string {
	t.Helper()
	all := map[string]bool{}
	for _, d := range dashboards(t) {
		for _, e := range d.expressions() {
			all[ofAll.Replace(e)] = true
		}
	}
	rules := string(must[[]byte](t)(os.ReadFile(rulesFile)))
	for _, name := range inRules.FindAllString(annotations.ReplaceAllString(rules, ""), -1) {
		if name != "waymark.recorded" && !strings.HasPrefix(name, "waymark_class_tcp_rtt_seconds") {
			all["count("+name+")"] = true
		}
	}
	if len(recorded.FindAllString(rules, -1)) == 0 {
		t.Fatal("no rule records anything")
	}
	return slices.Sorted(maps.Keys(all))
}

// withoutOff leaves out what this kernel cannot count, of expressions.
func (s *site) withoutOff(t *testing.T, expressions []string) []string {
	off := strings.Join(s.metered(t).Off, "\n")
	for group, metric := range map[string]string{"Times in the queue": "waymark_class_queue", "Drops": "waymark_class_dropped"} {
		if strings.Contains(off, group) {
			expressions = slices.DeleteFunc(expressions, func(e string) bool { return strings.Contains(e, metric) })
		}
	}
	return expressions
}

// alerts tells which of some alerts are not active.
func (p *prometheusServer) alerts(names ...string) error {
	var data struct {
		Alerts []struct{ Labels map[string]string }
	}
	if err := p.ask("alerts", nil, &data); err != nil {
		return err
	}
	for _, a := range data.Alerts {
		names = slices.DeleteFunc(names, func(name string) bool { return a.Labels["alertname"] == name })
	}
	if len(names) > 0 {
		return fmt.Errorf("%v are not active", names)
	}
	return nil
}
