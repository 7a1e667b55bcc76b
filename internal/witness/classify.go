// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
	"waymark/internal/verify"
	"waymark/loader"
)

// classifier asks the programs in the kernel which class a flow is of.
type classifier struct {
	*loader.Verified
	lines  []match.Match
	shadow *loader.Shadow
	space  *space
	places places
	here   string // the cgroup of this process
	done   <-chan struct{}
}

// Classify asks the programs in the kernel about a flow of every line: a
// process in the line's cgroup, with its uid, opens a socket in an empty network
// namespace, and connects it, for datagrams also sends one without, where the
// programs answer by the tables that are in force and count nothing of the
// host's. A packet that no socket tells of leaves by the loopback there; one that
// comes in is handed to the program for those. Nothing leaves the namespace.
// Cgroups that are made for it are removed. Once done is closed it ends with
// ErrStopped.
func Classify(l *loader.Loader, v *loader.Verified, done <-chan struct{}) (checks []verify.Check, err error) {
	c := &classifier{Verified: v, lines: verify.Matches(v.Plan), places: places{root: v.CgroupRoot}, done: done}
	if c.here, _, err = l.Process(os.Getpid()); err != nil {
		return nil, err
	}
	if c.space, err = newSpace(); err != nil {
		return nil, err
	}
	defer c.space.close()
	var cookie uint64
	err = c.space.do(func() (err error) {
		cookie, err = host.NetnsCookie()
		return err
	})
	if err != nil {
		return nil, err
	}
	c.shadow, err = l.Shadow(cookie)
	if errors.Is(err, loader.ErrOtherBuild) {
		left := verify.NewCheck(verify.Classifier, "every match")
		left.Skipped = err.Error()
		return []verify.Check{left}, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.shadow.Close()
	defer func() { err = errors.Join(err, c.places.remove()) }()
	return c.all(verify.Samples(v.Plan))
}

// all asks about all samples, those of a cgroup by one client.
func (c *classifier) all(samples []verify.Sample) ([]verify.Check, error) {
	checks := make([]verify.Check, len(samples))
	byCgroup := map[string][]int{}
	var order []string
	for n, s := range samples {
		checks[n] = verify.NewCheck(verify.Classifier, s.Name(c.Plan))
		switch {
		case s.Lost != nil:
			checks[n].Skipped = "no flow of it was found that it wins"
		case c.forwarded(s):
			if err := c.askForwarded(s, &checks[n]); err != nil {
				return nil, err
			}
		case c.waysOf(s) == nil:
			checks[n].Skipped = fmt.Sprintf("protocol %d has no socket that is connected: its packets are classed as they leave, of no user", s.Flow.Proto)
		default:
			if byCgroup[s.Flow.Cgroup] == nil {
				order = append(order, s.Flow.Cgroup)
			}
			byCgroup[s.Flow.Cgroup] = append(byCgroup[s.Flow.Cgroup], n)
		}
	}
	for _, cgroup := range order {
		if err := c.askIn(cgroup, samples, byCgroup[cgroup], checks); err != nil {
			return nil, err
		}
	}
	return checks, nil
}

// askIn asks about samples of one cgroup.
func (c *classifier) askIn(cgroup string, samples []verify.Sample, which []int, checks []verify.Check) (err error) {
	_, missing := os.Stat(filepath.Join(c.CgroupRoot, cgroup))
	path, err := c.places.below(cgroup)
	if err != nil || missing != nil && !c.Facts.Arms {
		if err == nil {
			err = errors.New("the kernel has no tracepoint for a cgroup that is made: it is classed by the next apply")
		}
		for _, n := range which {
			checks[n].Skipped = fmt.Sprintf("no process can be put into cgroup %s: %v", cgroup, err)
		}
		return nil
	}
	detach, err := c.shadow.Attach(c.places.dir(path))
	if err != nil {
		return err
	}
	defer detach()
	client, err := startClient(c.places.dir(path), c.space.do)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.close()) }()
	for _, n := range which {
		if err := stopped(c.done); err != nil {
			return err
		}
		for _, how := range c.waysOf(samples[n]) {
			flow := samples[n].Flow
			flow.Cgroup = path
			if err := c.ask(client, how, flow, samples[n], &checks[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// waysOf are what sockets of a sample's protocol tell the programs their class
// by; none of a protocol without connections for a user and an address.
func (c *classifier) waysOf(s verify.Sample) (ways []how) {
	switch m := c.lines[s.Line]; {
	case s.Flow.Proto == unix.IPPROTO_UDP:
		return []how{connected, eachTime}
	case verify.HasSocket(s.Flow.Proto):
		return []how{connected}
	case m.Dst == nil && m.Src == nil && m.Dport == nil && m.Sport == nil:
		return []how{raw}
	case m.UID == nil:
		return []how{framed}
	}
	return nil
}

// ask has a client open a socket, and holds against the first line that holds
// for its flow what class the programs gave it.
func (c *classifier) ask(client *client, how how, flow match.Flow, s verify.Sample, check *verify.Check) error {
	if (how == raw || how == framed) && c.lines[s.Line].UID == nil {
		flow.UID = 0 // who may
	}
	o := orderOf(flow)
	o.How = how
	if how == framed {
		return c.askFramed(client, o, flow, s, check)
	}
	r, err := client.do(o)
	if err != nil {
		return err
	}
	if r.Call == "socket" || r.Call == "bind" {
		check.Skipped = fmt.Sprintf("no such socket can be made: %s: %s", r.Call, r.Err)
		return nil
	}
	c.judge(flow, s, how, r.Mark, check)
	return nil
}

// askFramed has the client send a packet that no hook sees before it leaves. It
// is of no user then.
func (c *classifier) askFramed(client *client, o order, flow match.Flow, s verify.Sample, check *verify.Check) error {
	if flow.Src.IsUnspecified() {
		flow.Src = verify.Elsewhere(s.Family)
	}
	o.Frame, flow.UID = frame(flow), math.MaxUint32
	class, is := c.mine(flow, s, check)
	if !is {
		return nil
	}
	if err := c.space.do(c.shadow.Watch); err != nil {
		check.Skipped = err.Error()
		return nil
	}
	slot := uint32(0)
	if class != plan.NoClass {
		slot = c.Plan.Classes[class].Slot
	}
	before, err := c.shadow.Seen(slot)
	if err != nil {
		return err
	}
	r, err := client.do(o)
	if err != nil {
		return err
	}
	after, err := c.shadow.Seen(slot)
	switch {
	case err != nil:
		return err
	case r.Call != "":
		check.Skipped = fmt.Sprintf("no packet can be sent: %s: %s", r.Call, r.Err)
	case after == before:
		check.Wrong = append(check.Wrong, fmt.Sprintf("the programs count a packet that leaves not as %s: `waymark apply` fills their maps, `waymark explain` names the match", c.name(class)))
	default:
		check.Answer = "a packet that leaves is of " + c.name(class)
	}
	return nil
}

// orderOf is a socket of a flow.
func orderOf(f match.Flow) order {
	o := order{UID: f.UID, Proto: uint8(f.Proto), To: netip.AddrPortFrom(f.Dst, uint16(f.Dport))}
	if !f.Src.IsUnspecified() || f.Sport != 0 {
		o.From = netip.AddrPortFrom(f.Src, uint16(f.Sport))
	}
	return o
}

// mine is the class of the first line that holds for a flow, if that is the
// sample's: a process of ours is in a cgroup that others may take, and with the
// uid 0.
func (c *classifier) mine(f match.Flow, s verify.Sample, check *verify.Check) (class int, is bool) {
	class = plan.NoClass
	if line, ok := match.First(c.lines, f); ok {
		class = c.Plan.Lines[line].Class
	}
	if class != c.Plan.Lines[s.Line].Class {
		check.Skipped = fmt.Sprintf("what is below its cgroup, or this process's own, is of %s", c.name(class))
		return class, false
	}
	return class, true
}

// judge holds a mark that the programs gave against the first line that holds
// for the flow.
func (c *classifier) judge(f match.Flow, s verify.Sample, how how, mark uint32, check *verify.Check) {
	want, is := c.mine(f, s, check)
	if !is {
		return
	}
	got := mark & uint32(c.Plan.Mask)
	check.Answer = fmt.Sprintf("mark %#x", mark)
	if got != c.Plan.ClassMark(want) {
		check.Wrong = append(check.Wrong, fmt.Sprintf("the programs give %s %s and not %s: `waymark apply` fills their maps, `waymark explain` names the match", how, c.markName(got), c.name(want)))
	}
}

func (c *classifier) name(class int) string {
	if class == plan.NoClass {
		return classes.Unclassed
	}
	return "class " + c.Plan.Classes[class].Name
}

func (c *classifier) markName(mark uint32) string {
	if mark == 0 {
		return "no class"
	}
	if class := c.Plan.ClassOf(mark); class != nil {
		return "class " + class.Name
	}
	return fmt.Sprintf("mark %#x, which is no class's", mark)
}

// forwarded tells whether a line is of what comes in, and of no process.
func (c *classifier) forwarded(s verify.Sample) bool { return c.lines[s.Line].IIF != nil }

func (c *classifier) askForwarded(s verify.Sample, check *verify.Check) error {
	if s.Flow.IIF == math.MaxUint32 {
		check.Skipped = "its interface does not exist yet"
		return nil
	}
	flow := s.Flow
	flow.Cgroup, flow.UID = c.here, 0
	if flow.Src.IsUnspecified() {
		flow.Src = verify.Elsewhere(s.Family)
	}
	mark, err := c.shadow.Forwarded(flow.IIF, frame(flow))
	if err != nil {
		return err
	}
	c.judge(flow, s, connected, mark, check)
	return nil
}
