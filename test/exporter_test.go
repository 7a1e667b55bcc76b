// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

const exporterAddress = "127.0.0.1:9955"

// TestAgentServes follows what `run --listen` serves through the agent's
// life: an address that is another's at first, readiness, a heal, and a stop.
func TestAgentServes(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.mark(t)
	var other net.Listener
	if err := s.Host.Do(func() (err error) { other, err = net.Listen("tcp", exporterAddress); return err }); err != nil {
		t.Fatal(err)
	}
	a := s.agentOn(t, append(s.write(t, traffic), "--listen", exporterAddress)...)
	a.says(t, "not served yet")
	other.Close()
	client := inside(s.Host)
	soon(t, "it is served", func() error { _, err := fetch(client, "http://"+exporterAddress+"/-/healthy"); return err })
	for path, want := range map[string]string{"/-/healthy": "healthy\n", "/-/ready": "ready\n"} {
		if body, err := fetch(client, "http://"+exporterAddress+path); err != nil || string(body) != want {
			t.Errorf("%s: %q, %v", path, body, err)
		}
	}
	if err := s.Host.Command("ip", "rule", "del", "priority", "1001").Run(); err != nil {
		t.Fatal(err)
	}
	soon(t, "the heal is counted", func() error {
		body, err := fetch(client, "http://"+exporterAddress+"/metrics")
		if err == nil && !strings.Contains(string(body), "\nwaymark_agent_heals_total{kind=\"rule\"} 1\n") {
			err = fmt.Errorf("it is not in %s", body)
		}
		return err
	})
	s.ok(t, "down")
	soon(t, "it is not ready any more", func() error {
		if _, err := fetch(client, "http://"+exporterAddress+"/-/ready"); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable: not ready: no policy is applied") {
			return fmt.Errorf("ready says %v", err)
		}
		return nil
	})
	a.stop(t)
	if _, err := fetch(client, "http://"+exporterAddress+"/-/healthy"); err == nil || !strings.Contains(err.Error(), unix.ECONNREFUSED.Error()) {
		t.Errorf("after its end: %v", err)
	}
}

// TestScrapesDuringApplies scrapes while two policies take turns: each scrape
// shows the classes of the one or of the other.
func TestScrapesDuringApplies(t *testing.T) {
	s := newSite(t, lab.Options{})
	policies := [2]string{}
	sets := map[string]bool{}
	for k, prefix := range []string{"old", "new"} {
		policies[k] = twoUplinks + "classes:\n"
		for n := range 20 {
			policies[k] += fmt.Sprintf("  - {name: %s%d, route: [b], match: {uid: %d}}\n", prefix, n, 2000+n)
		}
	}
	s.apply(t, policies[0])
	server := s.Host.Command(binary(t), "metrics", "--listen", exporterAddress)
	var said bytes.Buffer
	server.Stderr = &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(unix.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(said.String())
		}
	})
	client := inside(s.Host)
	soon(t, "it serves", func() error { _, err := fetch(client, "http://"+exporterAddress+"/-/ready"); return err })
	stop, done := make(chan bool), make(chan error, 1)
	go func() {
		for {
			body, err := fetch(client, "http://"+exporterAddress+"/metrics")
			if err != nil {
				done <- err
				return
			}
			text := string(body)
			sets[fmt.Sprintf("%d of the old, %d of the new", strings.Count(text, `waymark_class_info{class="old`), strings.Count(text, `waymark_class_info{class="new`))] = true
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
		}
	}()
	for n := range 8 {
		s.apply(t, policies[(n+1)%2])
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	delete(sets, "20 of the old, 0 of the new")
	delete(sets, "0 of the old, 20 of the new")
	if len(sets) > 0 {
		t.Errorf("scrapes showed %v", sets)
	}
}
