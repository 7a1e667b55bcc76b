// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// inside is an HTTP client that connects from within a node.
func inside(n *lab.Node) *http.Client {
	dial := func(_ context.Context, network, address string) (c net.Conn, err error) {
		err = n.Do(func() (err error) { c, err = net.Dial(network, address); return err })
		return c, err
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// fetch is the body of an answer that is no error.
func fetch(client *http.Client, url string) ([]byte, error) {
	answer, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return body, err
}

// A prometheusServer is a real one on a site's host, with our rules.
type prometheusServer struct {
	name   string
	port   int
	client *http.Client
}

const prometheusConfig = `global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - {job_name: waymark, static_configs: [{targets: ['%s']}]}
`

// prometheus starts one that scrapes an address. It ends with the test.
func (s *site) prometheus(t *testing.T, name string, port int, target string, features ...string) *prometheusServer {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skipf("left out: %v (Debian's prometheus)", err)
	}
	dir := t.TempDir()
	rules, config := filepath.Join(dir, "waymark.rules.yaml"), filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(rules, must[[]byte](t)(os.ReadFile(rulesFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, prometheusConfig, rules, target), 0o600); err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	c := s.Host.Command(program, append([]string{"--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", address, "--log.level", "warn"}, features...)...).In("prometheus")
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(unix.SIGTERM)
		_ = c.Wait()
	})
	return &prometheusServer{name, port, inside(s.Host)}
}

// ask is what the server's API says at a path, in its "data".
func (p *prometheusServer) ask(path string, query url.Values, data any) error {
	body, err := fetch(p.client, fmt.Sprintf("http://127.0.0.1:%d/api/v1/%s?%s", p.port, path, query.Encode()))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &struct{ Data any }{data})
}

// A value is one series of an instant query.
type value struct {
	Metric    map[string]string
	Value     []any // time, and the number as text
	Histogram []any
}

// query is what an expression gives now.
func (p *prometheusServer) query(expression string) (values []value, err error) {
	var data struct{ Result []value }
	err = p.ask("query", url.Values{"query": {expression}}, &data)
	return data.Result, err
}

// number is the one value of an expression.
func (p *prometheusServer) number(expression string) (float64, error) {
	values, err := p.query(expression)
	if err != nil || len(values) != 1 || len(values[0].Value) != 2 {
		return 0, fmt.Errorf("%s: %v, %w", expression, values, err)
	}
	return strconv.ParseFloat(fmt.Sprint(values[0].Value[1]), 64)
}

// hasData tells whether an expression gives a number that is one.
func (p *prometheusServer) hasData(expression string) error {
	values, err := p.query(expression)
	if err != nil {
		return err
	}
	for _, v := range values {
		if v.Histogram != nil || len(v.Value) == 2 && v.Value[1] != "NaN" {
			return nil
		}
	}
	return fmt.Errorf("%s gives %v", expression, values)
}
