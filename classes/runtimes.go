// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"path"
	"strings"
)

// Runtimes says which container runtimes are asked, where a match names
// containers.
type Runtimes struct {
	Sockets []string // absolute paths of their unix sockets; nil: where runtimes are by themselves
	Pos     Position // zero when the policy does not say it
}

const unixScheme = "unix://"

var runtimesFields = []field[Runtimes]{
	{key: "sockets", example: "[unix:///run/docker.sock]", required: true, read: func(d *decoder, r *Runtimes, n *node) {
		r.Sockets = each(d, n, (*decoder).socket)
	}},
}

func (d *decoder) socket(n *node) (string, bool) {
	text, ok := d.scalar(n, "the path of a socket")
	if !ok {
		return "", false
	}
	file := strings.TrimPrefix(text, unixScheme)
	if !path.IsAbs(file) || strings.ContainsRune(file, 0) {
		d.problem(n, fmt.Sprintf("%q is not the path of a unix socket", text), "write it from the root, as in unix:///run/docker.sock; other hosts' containers are not this host's")
		return "", false
	}
	return path.Clean(file), true
}
