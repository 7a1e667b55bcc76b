// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A served is what is served while a test runs.
type served struct {
	net.Listener
	client *http.Client
	log    *safeBuffer
}

type safeBuffer struct {
	lock sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.Buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.Buffer.String()
}

func serve(t *testing.T, address, config string) *served {
	t.Helper()
	l, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{l, &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial(l.Addr().Network(), l.Addr().String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}, &safeBuffer{}}
	mux := http.NewServeMux()
	Health(mux, func() error { return errors.New("no policy is applied") })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, l, Options{Handler: mux, Named: Named{[]string{"waymark"}, func(r *http.Request) bool { return LetIn(config, r) }}, Config: config, Log: slog.New(slog.NewTextHandler(s.log, nil))})
	}()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// get is the status and the body of an answer.
func (s *served) get(t *testing.T, url, user, password string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(body))
}

func TestHealth(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "unix:" + filepath.Join(t.TempDir(), "web.sock")} {
		s := serve(t, address, "")
		if code, body := s.get(t, "http://waymark/-/healthy", "", ""); code != 200 || body != "healthy" {
			t.Errorf("%s: healthy: %d %s", address, code, body)
		}
		if code, body := s.get(t, "http://waymark/-/ready", "", ""); code != 503 || body != "not ready: no policy is applied" {
			t.Errorf("%s: ready: %d %s", address, code, body)
		}
		if log := s.log.String(); log != "" {
			t.Errorf("%s: it has something to say: %s", address, log)
		}
	}
}

// TestRebound asks by a name that a stranger has turned to the address.
func TestRebound(t *testing.T) {
	const url = "http://rebound.example/-/healthy"
	for address, want := range map[string]int{"127.0.0.1:0": http.StatusMisdirectedRequest, "[::1]:0": http.StatusMisdirectedRequest, "0.0.0.0:0": 200, "unix:" + filepath.Join(t.TempDir(), "web.sock"): 200} {
		if code, body := serve(t, address, "").get(t, url, "", ""); code != want {
			t.Errorf("%s: %d %s, want %d", address, code, body, want)
		}
	}
	if code, body := serve(t, "127.0.0.1:0", webConfig(t)).get(t, strings.Replace(url, "http", "https", 1), "alice", "fakepassword"); code != 200 {
		t.Errorf("with a password: %d %s", code, body)
	}
}

// TestHeadersOfAll has the headers on what is none of the page's, too.
func TestHeadersOfAll(t *testing.T) {
	s := serve(t, "0.0.0.0:0", "")
	for _, path := range []string{"/-/healthy", "/-/ready", "/nothing", "//-/healthy"} {
		answer, err := s.client.Transport.RoundTrip(must(http.NewRequest(http.MethodGet, "http://waymark"+path, nil)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		for name, value := range headers {
			if got := answer.Header.Get(name); got != value && name != "Cache-Control" {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
}

func must(r *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return r
}

// TestConfigurationBreaks spoils a web configuration while it is served by.
func TestConfigurationBreaks(t *testing.T) {
	users := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(users, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "127.0.0.1:0", users)
	s.get(t, "http://waymark/-/healthy", "", "")
	if err := os.WriteFile(users, []byte("basic_auth_user: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if code, _ := s.get(t, "http://waymark/-/healthy", "", ""); code != http.StatusInternalServerError {
			t.Errorf("answered %d", code)
		}
	}
	if log := s.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "basic_auth_user not found") || !strings.Contains(log, "file="+users) {
		t.Errorf("the log: %s", log)
	}
}

func TestOpenToAllIsSaid(t *testing.T) {
	s := serve(t, "0.0.0.0:0", "")
	s.get(t, "http://waymark/-/healthy", "", "")
	if log := s.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "--web.config.file adds TLS and passwords") {
		t.Errorf("the log: %s", log)
	}
}

func TestTLSAndPasswords(t *testing.T) {
	s := serve(t, "0.0.0.0:0", webConfig(t))
	if code, _ := s.get(t, "https://waymark/-/healthy", "", ""); code != http.StatusUnauthorized {
		t.Errorf("without a password: %d", code)
	}
	if code, _ := s.get(t, "https://waymark/-/healthy", "alice", "wrong"); code != http.StatusUnauthorized {
		t.Errorf("with a wrong password: %d", code)
	}
	if code, body := s.get(t, "https://waymark/-/healthy", "alice", "fakepassword"); code != 200 {
		t.Errorf("with the password: %d %s", code, body)
	}
	if code, _ := s.get(t, "http://waymark/-/healthy", "alice", "fakepassword"); code != http.StatusBadRequest {
		t.Errorf("without TLS: %d", code)
	}
	if log := s.log.String(); strings.Contains(log, "adds TLS") {
		t.Errorf("the log: %s", log)
	}
}

// webConfig is a file with a fresh certificate, and alice's password.
func webConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"waymark"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	write("web.yaml", []byte(`tls_server_config: {cert_file: cert.pem, key_file: key.pem}
basic_auth_users: {alice: "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"}
`))
	return filepath.Join(dir, "web.yaml")
}

func TestWrongAddresses(t *testing.T) {
	busy, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	path := filepath.Join(t.TempDir(), "web.sock")
	socket, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	precious := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(precious, []byte("classes: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"9955":                  "listen on 9955: it is no address: write HOST:PORT, as 127.0.0.1:9955, or unix:/PATH",
		"":                      "listen on : it is no address: write HOST:PORT, as 127.0.0.1:9955, or unix:/PATH",
		"unix:run.sock":         "listen on unix:run.sock: write the whole path, as unix:/run/waymark.sock",
		"fd:x":                  "listen on fd:x: write the number of a descriptor, as fd:3",
		"fd:999":                "listen on fd:999: this process was given no such listening socket: bad file descriptor",
		"unix:/nosuch/run.sock": "listen on unix:/nosuch/run.sock: no such file or directory",
		"unix:" + path:          "listen on unix:" + path + ": address already in use: end the process that does, or name another address with --listen",
		"unix:" + precious:      "listen on unix:" + precious + ": something else than a socket is there: name another path",
		busy.Addr().String():    "listen on " + busy.Addr().String() + ": address already in use: end the process that does, or name another address with --listen",
		"192.0.2.1:1":           "listen on 192.0.2.1:1: cannot assign requested address",
	} {
		if l, err := Listen(address); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", address, err, want)
			if l != nil {
				l.Close()
			}
		}
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("what was at a path that is no socket's: %v", err)
	}
}

// TestSocketOfADeadProcess is for what a process leaves that was killed.
func TestSocketOfADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("its mode: %v, %v", info.Mode(), err)
	}
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte("basic_auth_user: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(file); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("read the web configuration %s: ", file)) || !strings.Contains(err.Error(), "basic_auth_user") {
		t.Errorf("a key that does not exist: %v", err)
	}
	if err := Check(""); err != nil {
		t.Errorf("none: %v", err)
	}
	if err := Check(webConfig(t)); err != nil {
		t.Errorf("a right one: %v", err)
	}
}
