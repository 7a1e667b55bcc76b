// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// A datagram that got to the router's UDP would be answered, now and then, by
// an error that ends the sender's run.
func TestSinkTakesDatagrams(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: it makes network namespaces")
	}
	watch(t)
	l, err := lab.New(lab.Options{Offload: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := newSink(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	err = l.Host.Do(func() error {
		fd, err := socket(unix.SOCK_DGRAM)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: address(0).As4()}); err != nil {
			return err
		}
		_, err = lab.NewBatch(batchSize, payloadSize).Send(fd, batchSize)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	counted, err := l.Routers[0].Command("nstat", "-asz", "IpInReceives", "UdpNoPorts").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"IpInReceives", "UdpNoPorts"} {
		if _, rest, ok := strings.Cut(string(counted), name); !ok || strings.Fields(rest)[0] != "0" {
			t.Errorf("the router counts datagrams that the sink should have taken:\n%s", counted)
		}
	}
}
