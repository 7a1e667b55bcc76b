// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

var (
	loadFor  = flag.Duration("for", 0, "how long TestLoad's rate takes for what it sends; 0: ten minutes with -long, a second without")
	loadRate = flag.Int("rate", 0, "datagrams a second that TestLoad sends at most; 0: 200,000 with -long, 100,000 without")
)

// A flood is a worker that has a connected datagram socket for each of a thousand
// classes, by turns of both families.
type flood struct {
	*crowd
	each uint64 // datagrams of each class
}

const (
	answering = 21 // classes for each that is answered; odd, so that each route has some
	burst     = 32 // datagrams that one call sends
	drop      = 64 // bytes that each carries
)

// sunk is where the routers swallow what comes.
var sunk = map[ip]netip.Addr{v4: netip.MustParseAddr("203.0.113.200"), v6: netip.MustParseAddr("2001:db8:f::200")}

// sink prepares the routers and the far server for a flood. Nobody reads the
// captures.
func (s *site) sink(t *testing.T) {
	t.Helper()
	for n, r := range s.Routers {
		s.check(t, s.captures[n].Close())
		for _, f := range bothFamilies {
			must[string](t)(r.Command("ip", "route", "add", "blackhole", sunk[f].String()).Output())
		}
	}
	for n := 0; n < thousand; n += answering {
		must[*lab.Server](t)(s.Far.Serve(uint16(firstPort + n)))
	}
}

// flood starts one, at the rate and for the time of the flags.
func (s *site) flood(t *testing.T) *flood {
	t.Helper()
	rate, lasting := *loadRate, *loadFor
	if rate == 0 {
		rate = many(100_000, 200_000)
	}
	if lasting == 0 {
		lasting = time.Duration(many(1, 600)) * time.Second
	}
	f := &flood{each: uint64(float64(rate) * lasting.Seconds() / thousand)}
	args := []string{"be-a-flood", fmt.Sprint(rate), fmt.Sprint(f.each)}
	for n := range thousand {
		to := sunk[familyOfNth(n)]
		if n%answering == 0 {
			to = familyOfNth(n).service(1).Addr()
		}
		args = append(args, netip.AddrPortFrom(to, uint16(firstPort+n)).String())
	}
	f.crowd = s.hire(t, s.Host, "", args...)
	f.answer(t)
	return f
}

// familyOfNth is that of the nth class; each route has some of both.
func familyOfNth(n int) ip { return bothFamilies[n/len(routes)%2] }

// size is what a datagram of the nth class is on the wire.
func (f *flood) size(n int) uint64 {
	if familyOfNth(n) == v6 {
		return 14 + 40 + 8 + drop
	}
	return 14 + 20 + 8 + drop
}

// pour has it send everything.
func (f *flood) pour(t *testing.T) {
	t.Helper()
	begun := time.Now()
	if _, err := io.WriteString(f.in, "pour\n"); err != nil {
		t.Fatal(err)
	}
	f.answer(t)
	took := time.Since(begun)
	t.Logf("%d datagrams in %s: %.0f a second", thousand*f.each, took.Round(time.Millisecond), float64(thousand*f.each)/took.Seconds())
}

// pourOut is the worker: `be-a-flood RATE EACH ADDRESS...` sends so many datagrams to
// each address, a burst to one after the other, with a thread for every CPU.
func pourOut(args []string) error {
	var rate, each int
	if _, err := fmt.Sscan(args[0]+" "+args[1], &rate, &each); err != nil {
		return err
	}
	cpus := runtime.NumCPU()
	shares := make([][]int, cpus)
	for n, to := range args[2:] {
		fd, err := connected(netip.MustParseAddrPort(to))
		if err != nil {
			return err
		}
		shares[n%cpus] = append(shares[n%cpus], fd)
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	done := make(chan error)
	for _, sockets := range shares {
		go func() { done <- pourInto(sockets, each, float64(rate)*float64(len(sockets))/float64(len(args)-2)) }()
	}
	var all error
	for range shares {
		all = errors.Join(all, <-done)
	}
	if all != nil {
		return all
	}
	fmt.Println("poured")
	_, err := io.Copy(io.Discard, os.Stdin) // the sockets stay: a late answer to one that is closed would have the host send an ICMP error
	return err
}

// connected is a datagram socket to a destination.
func connected(to netip.AddrPort) (int, error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.Connect(fd, address)
}

// pourInto sends so many datagrams by each socket, at so many a second of all.
func pourInto(sockets []int, each int, rate float64) error {
	batch := lab.NewBatch(burst, drop)
	begun, total := time.Now(), 0
	for left := each; left > 0; left -= burst {
		for _, fd := range sockets {
			if ahead := time.Duration(float64(total)/rate*1e9) - time.Since(begun); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
			sent, err := sendAll(batch, fd, min(left, burst))
			if total += sent; err != nil {
				return err
			}
		}
	}
	return nil
}

// sendAll sends n of a batch.
func sendAll(b *lab.Batch, fd, n int) (int, error) {
	sent := 0
	for sent < n {
		more, err := b.Send(fd, n-sent)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return sent, err
		}
		sent += more
	}
	return sent, nil
}
