// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"waymark/internal/agent"
	"waymark/loader"
)

// watch is what the command line says of a watch.
type watch struct {
	loader.Watching
	peer   string
	first  number
	during time.Duration
}

func newWatch(e env) *cobra.Command {
	s := source{env: e}
	w := watch{first: number{lo: 1, hi: 1 << 30}}
	var o output
	c := &cobra.Command{
		Use:   "watch",
		Short: "Tell what happens, flow by flow, as it happens",
		Long: `Tells of classed flows that begin, packets that go astray or are repaired, drops
by the kernel's reason, links that come and go, classes that fail over, and what an
agent puts back, until Ctrl-C. Each line is an event; -o json prints an object a
line. Misroutes, repairs and drops of one flow are told once a second, with the
number of packets. The kernel has nothing to do for it while nobody watches.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := w.check(c); err != nil {
				return err
			}
			return s.onHost(func(l *loader.Loader) error { return w.run(c.Context(), e, l, &o) })
		},
	}
	f := c.Flags()
	f.StringVar(&w.Class, "class", "", "only of this `CLASS`")
	f.StringVar(&w.Cgroup, "cgroup", "", "only of sockets of this `CGROUP` or unit, and below")
	f.StringVar(&w.peer, "peer", "", "only of flows to this address or `PREFIX`")
	f.VarP(&w.first, "count", "n", "end after this `NUMBER` of events")
	f.DurationVar(&w.during, "for", 0, "end this `TIME` after it began to watch, such as 30s")
	o.flag(c)
	return c
}

func (w *watch) check(c *cobra.Command) (err error) {
	if w.during < 0 {
		return usage(c, fmt.Errorf("--for %s: a watch lasts longer than that", w.during))
	}
	if err := checkWatchedCgroup(w.Cgroup); err != nil {
		return usage(c, err)
	}
	if w.peer == "" {
		return nil
	}
	if w.Peer, err = netip.ParsePrefix(w.peer); err != nil {
		address, err := netip.ParseAddr(w.peer)
		if err != nil {
			return usage(c, fmt.Errorf("--peer %s: it is no address and no prefix, such as 203.0.113.0/24", w.peer))
		}
		w.Peer = netip.PrefixFrom(address, address.BitLen())
	}
	if a := w.Peer.Addr(); a.Is4In6() { // as a socket of IPv6 has it
		w.Peer = netip.PrefixFrom(a.Unmap(), max(0, w.Peer.Bits()-96))
	}
	return nil
}

// errEnough ends a watch that has told what it was asked for.
var errEnough = errors.New("enough")

func (w *watch) run(ctx context.Context, e env, l *loader.Loader, o *output) error {
	// What nobody reads any more ends the watch, and is no failure.
	signal.Ignore(syscall.SIGPIPE)
	ctx, end := context.WithCancel(ctx)
	defer end()
	whenAbandoned(e.stdout, end)
	w.Also = heals(l.Netns())
	told := 0
	var begun *time.Timer // with the first event, which says that it watches
	err := l.Events(ctx, w.Watching, func(event loader.Event) error {
		if begun == nil && w.during > 0 {
			begun = time.AfterFunc(w.during, end)
		}
		if err := printEvent(e.stdout, event, o.format == "json"); err != nil {
			return err
		}
		if event.Kind != loader.EventWatching {
			told++
		}
		if told > 0 && told == w.first.value {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNothingApplied
	case errors.Is(err, errEnough), errors.Is(err, syscall.EPIPE):
		return nil
	}
	return err
}

// whenAbandoned ends what writes to a pipe that nobody reads any more: the next event,
// which would tell of it, may be long in coming.
func whenAbandoned(out io.Writer, end func()) {
	file, ok := out.(*os.File)
	if !ok {
		return
	}
	go func() {
		fds := []unix.PollFd{{Fd: int32(file.Fd())}}
		_, err := unix.Poll(fds, -1)
		for errors.Is(err, unix.EINTR) {
			_, err = unix.Poll(fds, -1)
		}
		if fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			end()
		}
	}()
}

// heals are what an agent put back since it was last asked.
func heals(netns uint64) func() ([]loader.Event, error) {
	since := time.Now().UTC().Truncate(time.Second)
	said := map[agent.Heal]bool{}
	return func() (events []loader.Event, err error) {
		record, err := agent.Read(netns)
		if err != nil || record == nil {
			return nil, err
		}
		for _, h := range record.Last {
			if h.Time.Before(since) || said[h] {
				continue
			}
			said[h] = true
			text := h.Kind + " " + h.Object
			if h.By != "" {
				text += ", which was changed by " + h.By
			}
			events = append(events, loader.Event{Time: h.Time, Kind: loader.EventHealed, Text: text})
		}
		return events, nil
	}
}

func printEvent(w io.Writer, e loader.Event, asJSON bool) error {
	b := bufio.NewWriter(w)
	if asJSON {
		if err := json.NewEncoder(b).Encode(e); err != nil {
			return err
		}
		return b.Flush()
	}
	fmt.Fprintln(b, inLine(eventLine(e)))
	return b.Flush()
}

// eventLine is an event for people: when, what, whose, where, why.
func eventLine(e loader.Event) string {
	words := []string{e.Time.Local().Format("15:04:05.000"), fmt.Sprintf("%-8s", e.Kind)}
	add := func(format string, is bool, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add("%s", e.Class != "", e.Class)
	add("by %s", e.Uplink != "" && e.Kind != loader.EventFailedOver && e.Class != "", e.Uplink)
	add("%s", e.Uplink != "" && e.Class == "", e.Uplink)
	add("(%s)", e.Cause != "", e.Cause)
	add("(%s in %s)", e.Place != "", e.Reason, e.Place)
	add("(%s)", e.Place == "" && e.Reason != "", e.Reason)
	add("%s %s > %s", e.Proto != "", e.Proto, e.Source, e.Peer)
	add("%s", e.Packets > 1, count(int(e.Packets), "packet"))
	add("%s", e.Text != "", e.Text)
	add("%s", e.Cgroup != "", e.Cgroup)
	add("%s[%d]", e.PID != 0, e.Command, e.PID)
	return strings.Join(words, " ")
}
