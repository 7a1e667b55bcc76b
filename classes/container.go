// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Container names the cgroups of containers, by what their runtime says of
// them; what is not named, any container has. At least one thing is named.
type Container struct {
	Name      string            // a Glob
	Pod       string            // in Kubernetes; a Glob
	Namespace string            // of its pod, or containerd's own; a Glob
	Labels    map[string]string // each has to be there, with a value that is of the Glob
	Pos       Position
}

// Identity is what a container runtime says of a container, or of a whole pod.
type Identity struct {
	Name      string            `json:"name"`                // "": a pod
	Pod       string            `json:"pod,omitempty"`       // "": in none
	Namespace string            `json:"namespace,omitempty"` // of its pod, or containerd's own
	Labels    map[string]string `json:"labels,omitempty"`    // its own, and its pod's
}

// Holds tells whether k is one that c names.
func (c Container) Holds(k Identity) bool {
	if c.Pod != "" && k.Pod == "" || !isOf(orAny(c.Pod), k.Pod) || !isOf(orAny(c.Name), k.Name) || !isOf(orAny(c.Namespace), k.Namespace) {
		return false
	}
	for key, want := range c.Labels {
		if value, ok := k.Labels[key]; !ok || !isOf(want, value) {
			return false
		}
	}
	return true
}

// isOf tells whether a text is a pattern's, each part between slashes by
// itself; a star alone is for every text.
func isOf(pattern, text string) bool {
	if pattern == "*" || pattern == text {
		return true
	}
	globs, parts := strings.Split(pattern, "/"), strings.Split(text, "/")
	if len(globs) != len(parts) {
		return false
	}
	for i := range globs {
		if g, err := ParseGlob(globs[i]); err != nil || !g.Match(parts[i]) {
			return false
		}
	}
	return true
}

// covers reports whether c takes every container that m takes, as far as that
// can be told name by name.
func (c Container) covers(m Container) bool {
	for key, want := range c.Labels {
		if value, ok := m.Labels[key]; !ok || !coversName(want, value) {
			return false
		}
	}
	return (c.Pod == "" || m.Pod != "" && coversName(c.Pod, m.Pod)) &&
		coversName(orAny(c.Name), orAny(m.Name)) && coversName(orAny(c.Namespace), orAny(m.Namespace))
}

func orAny(glob string) string {
	if glob == "" {
		return "*"
	}
	return glob
}

var containerFields = []field[Container]{
	{key: "name", example: "backup", read: func(d *decoder, c *Container, n *node) { c.Name = d.containerName(n) }},
	{key: "pod", example: "web-0", read: func(d *decoder, c *Container, n *node) { c.Pod = d.containerName(n) }},
	{key: "namespace", example: "shop", read: func(d *decoder, c *Container, n *node) { c.Namespace = d.containerName(n) }},
	{key: "label", example: "{tier: bulk}", read: (*decoder).labels},
}

// containers reads names of containers, or mappings that say more of them.
func (d *decoder) containers(m *Match, n *node) {
	m.Container = each(d, n, func(d *decoder, n *node) (Container, bool) {
		before := len(d.problems)
		c := Container{Pos: d.pos(n)}
		switch {
		case n.kind != mapping:
			c.Name = d.containerName(n)
		case len(n.items) == 0:
			d.problem(n, "an empty mapping would take every container", "if that is meant, write {name: '*'}")
		default:
			fields(d, n, "a container", containerFields, &c)
		}
		return c, len(d.problems) == before
	})
}

// ParseContainer parses what a policy says of one container, a name or a
// mapping. The error is Problems.
func ParseContainer(text string) (Container, error) {
	s := newSource("container", []byte(text))
	s.long = true // a text this short is worth no short way
	root, bad := s.read()
	d, m := &decoder{source: s, problems: bad}, Match{}
	if len(bad) == 0 {
		d.containers(&m, &root)
	}
	if len(d.problems) == 0 && len(m.Container) != 1 {
		d.problem(&root, fmt.Sprintf("%d containers", len(m.Container)), "name one, or say in a mapping what all have: {label: {tier: bulk}}")
	}
	if len(d.problems) > 0 {
		return Container{}, d.problems
	}
	c := m.Container[0]
	c.Pos = Position{}
	return c, nil
}

func (d *decoder) containerName(n *node) string {
	text, ok := d.scalar(n, "a name")
	if !ok {
		return ""
	}
	switch _, err := ParseGlob(text); {
	case strings.HasPrefix(text, "/") && text != "/":
		d.problem(n, fmt.Sprintf("%q is not a name", text), "write it without the slash, as `docker ps` does")
	case text == "" || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == '/' }):
		d.problem(n, fmt.Sprintf("%q is not a name", text), "write it as the container runtime lists it, or a pattern such as backup-*")
	case err != nil:
		d.problem(n, fmt.Sprintf("bad pattern %q", text), err.Error())
	}
	return text
}

// labels reads a mapping of labels to the patterns of their values.
func (d *decoder) labels(c *Container, n *node) {
	if n.kind != mapping || len(n.items) == 0 {
		d.problem(n, fmt.Sprintf("label must be a mapping of labels to their values, not %s", n.kind), "write label: {tier: bulk}; for any value write {tier: '*'}")
		return
	}
	c.Labels = map[string]string{}
	for i := 0; i < len(n.items); i += 2 {
		key, okKey := d.scalar(&n.items[i], "the name of a label")
		value, okValue := d.scalar(&n.items[i+1], "the value of a label")
		if !okKey || !okValue {
			continue
		}
		if _, twice := c.Labels[key]; twice {
			d.problem(&n.items[i], fmt.Sprintf("label %s is given twice", key), "one container has one value of a label: keep one of the two")
		}
		if err := checkGlobs(value); err != nil {
			d.problem(&n.items[i+1], fmt.Sprintf("bad pattern %q", value), err.Error())
		}
		c.Labels[key] = value
	}
}

// String returns the container as a policy says it: its name, or a mapping.
func (c Container) String() string {
	var said []string
	if c.Name != "" {
		said = append(said, "name: "+Quote(c.Name))
	}
	if c.Pod != "" {
		said = append(said, "pod: "+Quote(c.Pod))
	}
	if c.Namespace != "" {
		said = append(said, "namespace: "+Quote(c.Namespace))
	}
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		labels = append(labels, Quote(key)+": "+Quote(c.Labels[key]))
	}
	if labels != nil {
		said = append(said, "label: {"+strings.Join(labels, ", ")+"}")
	}
	if c.Name != "" && len(said) == 1 {
		return Quote(c.Name)
	}
	return "{" + strings.Join(said, ", ") + "}"
}
