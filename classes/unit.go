// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Unit names the cgroup of a systemd unit, wherever its Slice= puts it: a
// cgroup of that name below slices alone.
type Unit struct {
	Name string // a Glob
	User *User  // whose user manager runs it, by name or one id; nil: the system's
	Pos  Position
}

var unitFields = []field[Unit]{
	{key: "name", example: "backup.service", required: true, read: (*decoder).unitName},
	{key: "user", example: "alice", required: true, read: (*decoder).unitUser},
}

// units reads unit names, or mappings of a name and a user.
func (d *decoder) units(m *Match, n *node) {
	m.Unit = each(d, n, func(d *decoder, n *node) (Unit, bool) {
		before := len(d.problems)
		u := Unit{Pos: d.pos(n)}
		if n.kind == mapping {
			fields(d, n, "a unit", unitFields, &u)
		} else {
			d.unitName(&u, n)
		}
		return u, len(d.problems) == before
	})
}

func (d *decoder) unitUser(u *Unit, n *node) {
	user, ok := d.user(n)
	if ok && user.Lo != user.Hi {
		d.problem(n, "a unit of several users", "name one user; for all of them write cgroup: user.slice/user-*.slice/user@*.service/app.slice/NAME")
	}
	u.User = &user
}

// unitKinds are those that have a cgroup.
var unitKinds = []string{".service", ".slice", ".scope", ".socket", ".mount", ".swap"}

func (d *decoder) unitName(u *Unit, n *node) {
	text, ok := d.scalar(n, "the name of a unit")
	if !ok {
		return
	}
	_, err := ParseGlob(text)
	switch {
	case strings.Contains(text, "/"):
		d.problem(n, fmt.Sprintf("%q is no name of a unit", text), "write the name alone; a path goes into cgroup")
	case err != nil:
		d.problem(n, fmt.Sprintf("bad pattern %q", text), err.Error())
	case !slices.ContainsFunc(unitKinds, func(k string) bool { return strings.HasSuffix(text, k) && text != k }):
		d.problem(n, fmt.Sprintf("%q is no unit that has a cgroup", text), "write its whole name, such as backup.service; it ends in one of "+strings.Join(unitKinds, ", "))
	case strings.Contains(text, "@.") && !IsGlob(text):
		d.problem(n, fmt.Sprintf("%q is a template, which never runs itself", text), fmt.Sprintf("write %q for all of its instances, or name one", strings.Replace(text, "@.", "@*.", 1)))
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		d.problem(n, fmt.Sprintf("%q is no name of a unit", text), "write it as `systemctl status` does")
	default:
		u.Name = text
	}
}

// String returns the unit as a policy says it: its name, or a mapping.
func (u Unit) String() string {
	if u.User == nil {
		return Quote(u.Name)
	}
	return fmt.Sprintf("{name: %s, user: %s}", Quote(u.Name), u.User)
}
