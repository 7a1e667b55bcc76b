// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"waymark/classes"
)

// Print writes the plan as text that can be read, and whose commands can be
// pasted into a shell.
func (p *Plan) Print(w io.Writer) error {
	out := &printer{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	p.printMarks(out)
	p.printUplinks(out)
	for _, family := range Families {
		out.section("%s tables", family)
		for _, r := range p.Routes {
			if r.Family == family {
				out.line("%s", r)
			}
		}
		out.section("%s rules, first match first", family)
		p.printRules(out, family)
	}
	p.printTable(out)
	out.section("sysctls")
	for _, s := range p.Sysctls {
		out.line("sysctl -w %s=%s\t# %s", s.Name, s.Value, s.Why)
	}
	for _, s := range p.Kept {
		out.line("# %s stays %s\t# %s", s.Name, s.Value, s.Why)
	}
	out.section("BPF programs")
	for _, h := range p.Hooks {
		out.line("# %s\t%s\t%s", h.Program, h.Place, h.Why)
	}
	if len(p.Waiting) > 0 {
		out.section("waiting")
		for _, s := range p.Waiting {
			out.line("# %s", s)
		}
	}
	if len(p.Notes) > 0 {
		out.section("not carried out")
		for _, s := range p.Notes {
			out.line("# %s", s)
		}
	}
	if out.err != nil {
		return out.err
	}
	return out.w.Flush()
}

// printRules writes what each selector is for above its rules.
func (p *Plan) printRules(out *printer, family Family) {
	rung := ""
	for _, r := range p.Rules {
		if r.Family != family {
			continue
		}
		if r.Rung != rung {
			out.line("# %s", r.Rung)
			rung = r.Rung
		}
		out.line("%s\t# %s", r, r.Why)
	}
}

// printTable writes Waymark's nftables table, if it has one.
func (p *Plan) printTable(out *printer) {
	if p.Table().Empty() {
		return
	}
	out.section("nftables")
	out.line("nft add table inet %s", Nftables)
	if len(p.Answers) > 0 {
		out.line("# what is forwarded in by an uplink is answered by it: the connection's mark says which")
		for _, command := range answersSetup() {
			out.line("%s", command)
		}
	}
	for _, a := range p.Answers {
		out.line("%s", a.comes())
	}
	for _, a := range p.Answers {
		out.line("%s", a.goes())
	}
	if len(p.SNAT) > 0 {
		out.line("%s", snatSetup())
	}
	for _, s := range p.SNAT {
		out.line("%s", s)
	}
}

type printer struct {
	w   *tabwriter.Writer
	err error
}

func (o *printer) line(format string, args ...any) {
	if _, err := fmt.Fprintf(o.w, format+"\n", args...); err != nil {
		o.err = err
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// section starts a new group of columns.
func (o *printer) section(format string, args ...any) {
	if err := o.w.Flush(); err != nil {
		o.err = err
	}
	o.line("\n## "+format, args...)
}

func (p *Plan) printMarks(out *printer) {
	out.line("## marks: %s in the bits %s of the fwmark", count(len(p.Classes), "class", "classes"), p.Mask)
	for i, c := range p.Classes {
		out.line("# class %s\t%#x/%s\troute %s\t%s", c.Name, c.Mark, p.Mask, c.Route, count(c.Matches, "match", "matches"))
		if len(p.Lines) <= 200 {
			p.printLines(out, i)
		}
	}
	if slices.ContainsFunc(p.Lines, func(l Line) bool { return l.Class == NoClass }) {
		out.line("# %s", classes.Unclassed)
		p.printLines(out, NoClass)
	}
}

func (p *Plan) printLines(out *printer, class int) {
	for _, l := range p.Lines {
		if l.Class == class {
			out.line("#   %s\t%s", l.Text, l.Pos)
			for _, c := range l.Containers {
				out.line("#     %s", c)
			}
		}
	}
}

// Print writes the changes, one a line, with a plus, a minus or a tilde.
func (c Changes) Print(w io.Writer) error {
	var b strings.Builder
	for _, r := range c.AddRoutes {
		fmt.Fprintf(&b, "+ %s\n", r)
	}
	for _, r := range c.AddRules {
		fmt.Fprintf(&b, "+ %s\n", r)
	}
	if c.Table {
		fmt.Fprintf(&b, "~ nftables table inet %s\n", Nftables)
	}
	for _, s := range slices.Concat(c.SetSysctls, c.GiveBack) {
		fmt.Fprintf(&b, "~ sysctl -w %s=%s\n", s.Name, s.Value)
	}
	if c.Classes {
		fmt.Fprintf(&b, "~ classes and matches in the BPF maps\n")
	}
	for _, h := range c.Attach {
		fmt.Fprintf(&b, "+ %s at %s\n", h.Program, h.Place)
	}
	for _, h := range c.Detach {
		fmt.Fprintf(&b, "- %s at %s\n", h.Program, h.Place)
	}
	for _, r := range c.DeleteRules {
		fmt.Fprintf(&b, "- %s\n", strings.Replace(r.String(), "rule add", "rule del", 1))
	}
	for _, r := range c.DeleteRoutes {
		fmt.Fprintf(&b, "- %s\n", strings.Replace(r.String(), "route add", "route del", 1))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
