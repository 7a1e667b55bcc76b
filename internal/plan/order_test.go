// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// routing is what a kernel routes by, as far as a plan changes it: the test's
// own reading of rules and tables.
type routing struct {
	rules  []Rule // in the order in which they are tried
	routes []Route
}

// answer is where a packet goes: an action, or an interface and a gateway.
func (k routing) answer(q Packet) string {
	for _, r := range k.rules {
		if r.Family != q.Family || r.OIF != q.Interface && r.OIF != "" || q.Mark&r.Mask != r.Mark || r.From.IsValid() && !r.From.Contains(q.Src) {
			continue
		}
		if r.Action != Lookup {
			return string(r.Action)
		}
		best := -1
		var way string
		for _, o := range k.routes {
			covers := o.Dst.Bits() == 0 || o.Dst.Contains(q.Dst)
			if o.Family == q.Family && o.Table == r.Table && covers && o.Dst.Bits() > best && !(r.Suppress && o.Dst.Bits() == 0) {
				best, way = o.Dst.Bits(), fmt.Sprint(o.Hops)
			}
		}
		if best >= 0 {
			return way
		}
	}
	return "nothing"
}

func (k *routing) addRoute(r Route) {
	if i := slices.IndexFunc(k.routes, func(o Route) bool { return samePlace(o, r) }); i >= 0 {
		k.routes[i] = r
	} else {
		k.routes = append(k.routes, r)
	}
}

func samePlace(a, b Route) bool {
	return a.Family == b.Family && a.Table == b.Table && a.Dst == b.Dst && a.Metric == b.Metric
}

// addRule adds it behind those of its priority, as the kernel does.
func (k *routing) addRule(r Rule) {
	i := slices.IndexFunc(k.rules, func(o Rule) bool { return o.Priority > r.Priority })
	if i < 0 {
		i = len(k.rules)
	}
	k.rules = slices.Insert(k.rules, i, r)
}

func (k *routing) deleteRule(r Rule) {
	k.rules = slices.DeleteFunc(k.rules, func(o Rule) bool { return o.Key() == r.Key() })
}

func (k *routing) deleteRoute(r Route) {
	k.routes = slices.DeleteFunc(k.routes, func(o Route) bool { return o.String() == r.String() })
}

// routingOf is the kernel that holds a plan among what the host has.
func routingOf(h *host, p *Plan) (k routing) {
	for _, r := range append(slices.Clone(h.Rules), p.Rules...) {
		k.addRule(r)
	}
	k.routes = append(slices.Clone(h.Routes), p.Routes...)
	return k
}

// steps are the changes from one plan to the next, in the loader's order.
func steps(old, next *Plan) (all []func(*routing)) {
	c := next.Diff(holding(old))
	for _, r := range c.AddRoutes {
		all = append(all, func(k *routing) { k.addRoute(r) })
	}
	for _, r := range c.AddRules {
		all = append(all, func(k *routing) { k.addRule(r) })
	}
	for _, r := range c.DeleteRules {
		all = append(all, func(k *routing) { k.deleteRule(r) })
	}
	for _, r := range c.DeleteRoutes {
		if !slices.ContainsFunc(next.Routes, func(o Route) bool { return samePlace(o, r) }) {
			all = append(all, func(k *routing) { k.deleteRoute(r) })
		}
	}
	return all
}

// questions are packets with every mark of two plans and from every kind of
// source, to a destination that main knows and to one that it does not.
func questions(old, next *Plan) (all []Packet) {
	marks := []uint32{0, 0x40} // and one of somebody else's
	for _, p := range []*Plan{old, next} {
		for _, c := range p.Classes {
			marks = append(marks, c.Mark, c.Mark|0x40)
		}
	}
	for _, mark := range marks {
		for _, src := range []string{"", "10.0.1.2", "10.0.2.2", "10.0.3.2", "192.168.0.1", "192.168.1.1", "192.168.9.9", "2001:db8:1::2", "2001:db8:2::77", "2001:db8:a::1"} {
			for _, dst := range []string{"203.0.113.1", "10.0.2.9", "172.30.0.5", "2001:db8:f::1", "2001:db8:2::9"} {
				q := Packet{Mark: mark, Dst: addr(dst), Family: FamilyOf(addr(dst))}
				if src != "" {
					q.Src = addr(src)
				}
				if src == "" || FamilyOf(q.Src) == q.Family {
					all = append(all, q)
				}
			}
		}
	}
	return all
}

// threeUplinks is a host with uplinks in both families, in one, and a
// container network that only main knows.
func threeUplinks() *host {
	h := twoUplinks()
	h.link("eth2", "10.0.3.2/24")
	h.link("docker0", "172.30.0.1/24")
	return h
}

// randomPolicy is a policy of up to six classes over up to three uplinks. A
// class that two policies share has the same matches in both.
func randomPolicy(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "mark: {mask: %#x}\nrules: {base: %d}\ntables: {base: %d}\nuplinks:\n",
		[]uint32{0xf, 0x8f, 0xf00}[r.IntN(12)/5], 1000+r.IntN(12)/11*10, 7000+r.IntN(12)/11*2)
	var uplinks []string
	for i, gateway := range []string{"auto", "auto", "10.0.3.1"} {
		if len(uplinks) == 0 && i == 2 || r.IntN(5) > 0 {
			name := string(rune('a' + i))
			uplinks = append(uplinks, name)
			fmt.Fprintf(&b, "  - {name: %s, interface: eth%d, gateway: %s, strict: %v}\n", name, i, gateway, r.IntN(4) == 0)
		}
	}
	b.WriteString("classes:\n")
	classes := r.Perm(6)[:1+r.IntN(6)]
	if i := slices.Index(classes, 4); i >= 0 {
		classes = append(slices.Delete(classes, i, i+1), 4) // the others' sources are in its own
	}
	for _, i := range classes {
		r.Shuffle(len(uplinks), func(i, j int) { uplinks[i], uplinks[j] = uplinks[j], uplinks[i] })
		route := "[" + strings.Join(uplinks[:1+r.IntN(len(uplinks))], ", ") + "]"
		if r.IntN(4) == 0 {
			route = fmt.Sprintf("{%s: %d}", strings.Join(uplinks, ": 1, "), 1+r.IntN(2))
		}
		src := []string{"10.0.1.2", "[192.168.0.0/24, '2001:db8:a::/48']", "192.168.1.1", "'2001:db8:2::/64'", "0.0.0.0/0", "'2001:db8:b::1'"}[i]
		fmt.Fprintf(&b, "  - {name: c%d, route: %s, otherwise: %s, strict: %v, match: [{uid: %d}", i, route,
			[]string{"main", "main", "unreachable", "prohibit", "blackhole"}[r.IntN(5)], r.IntN(5) == 0, 1000+i)
		if r.IntN(2) == 0 {
			fmt.Fprintf(&b, ", {src: %s}", src)
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

// walk makes plans one after the other, and calls step with each pair and
// the policies' texts.
func walk(t *testing.T, seed uint64, length int, step func(h *host, old, next *Plan, texts [2]string)) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	h := threeUplinks()
	oldText := randomPolicy(r)
	old := h.make(t, oldText, Numbers{})
	for range length {
		text := randomPolicy(r)
		next, err := Make(parse(t, text), h.Facts, old.Numbers, Options{CgroupRoot: "/sys/fs/cgroup"})
		if err != nil {
			if !strings.Contains(err.Error(), "no free number left") {
				t.Fatalf("seed %d: %v", seed, err)
			}
			continue
		}
		checkNumbers(t, next, old.Numbers, nil)
		step(h, old, next, [2]string{oldText, text})
		old, oldText = next, text
	}
}

// mixes makes all changes from one plan to the next, and returns the first
// packet that after one of them goes neither as before nor as afterwards.
// It counts the questions whose answers differ.
func mixes(h *host, old, next *Plan, changes []func(*routing), differ *int) string {
	was, will, k := routingOf(h, old), routingOf(h, next), routingOf(h, old)
	asked := questions(old, next)
	answers := make([][2]string, len(asked))
	for i, q := range asked {
		answers[i] = [2]string{was.answer(q), will.answer(q)}
		if answers[i][0] != answers[i][1] {
			*differ++
		}
	}
	for n, change := range changes {
		change(&k)
		for i, q := range asked {
			got := k.answer(q)
			last := n == len(changes)-1 && got != answers[i][1]
			if last || got != answers[i][0] && got != answers[i][1] {
				return fmt.Sprintf("after change %d of %d, %+v goes %s; before %s, afterwards %s", n+1, len(changes), q, got, answers[i][0], answers[i][1])
			}
		}
	}
	return ""
}

// TestNoPacketSeesAMix walks from policy to policy, and after every single
// change in the kernel asks for every packet: it goes as under the old plan
// or as under the new one, never in a third way.
func TestNoPacketSeesAMix(t *testing.T) {
	differ := 0
	for seed := range uint64(6) {
		walk(t, seed, 8, func(h *host, old, next *Plan, texts [2]string) {
			if mix := mixes(h, old, next, steps(old, next), &differ); mix != "" {
				t.Fatalf("seed %d: %s; from\n%s\nto\n%s", seed, mix, texts[0], texts[1])
			}
		})
	}
	if differ < 1000 {
		t.Errorf("%d questions have two answers: too few to show anything", differ)
	}
}

// TestAnotherOrderShowsAMix shows that the test above can fail.
func TestAnotherOrderShowsAMix(t *testing.T) {
	seen, differ := 0, 0
	walk(t, 1, 8, func(h *host, old, next *Plan, _ [2]string) {
		backwards := steps(old, next)
		slices.Reverse(backwards)
		if mixes(h, old, next, backwards, &differ) != "" {
			seen++
		}
	})
	if seen == 0 {
		t.Error("no packet sees a mix in the reverse order")
	}
}

// TestResolveEqualsAPlainReading compares Resolve with the test's own
// reading of the rules.
func TestResolveEqualsAPlainReading(t *testing.T) {
	answers := map[string]int{}
	for seed := range uint64(10) {
		walk(t, seed, 8, func(h *host, old, next *Plan, texts [2]string) {
			k := routingOf(h, next)
			for _, q := range questions(old, next) {
				want := k.answer(q)
				v := next.Resolve(h.Facts, q)
				got := string(v.Rule.Action)
				switch v.Rule.Action {
				case Lookup:
					got = fmt.Sprint(v.Route.Hops)
				case "":
					got = "nothing"
				}
				answers[strings.SplitAfter(got, " ")[0]]++
				if got != want {
					t.Fatalf("seed %d: %+v goes %s, want %s; under\n%s", seed, q, got, want, texts[1])
				}
				if v.Interface != "" && !q.Src.IsValid() && v.Uplink != "" && v.Source == (netip.Addr{}) {
					t.Fatalf("seed %d: %+v has no source by uplink %s", seed, q, v.Uplink)
				}
			}
		})
	}
	if len(answers) < 6 {
		t.Errorf("the answers are %v: too few to show anything", answers)
	}
}
