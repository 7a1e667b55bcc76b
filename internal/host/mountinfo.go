// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// mount is one line of mountinfo.
type mount struct {
	root   string // the directory of the file system that is mounted
	point  string // where, as this process sees it
	fstype string
	source string
}

// mounts are the mounts the calling thread sees, in the order of mounting:
// a later one hides an earlier one at the same point.
func mounts() ([]mount, error) {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return parseMounts(text)
}

// parseMounts reads the text of a mountinfo file (proc(5)).
func parseMounts(text []byte) ([]mount, error) {
	var all []mount
	for line := range bytes.Lines(text) {
		m, err := parseMount(strings.TrimSuffix(string(line), "\n"))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// parseMount reads one line: six fields, any number of optional ones, "-",
// and three more.
func parseMount(line string) (mount, error) {
	before, after, ok := strings.Cut(line, " - ")
	first, last := strings.Split(before, " "), strings.Split(after, " ")
	if !ok || len(first) < 6 || len(last) < 2 {
		return mount{}, fmt.Errorf("read mounts: line %q is not of mountinfo's form", line)
	}
	return mount{
		root:   unescape(first[3]),
		point:  unescape(first[4]),
		fstype: unescape(last[0]),
		source: unescape(last[1]),
	}, nil
}

// unescape undoes the octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := octal(s[i:]); ok {
			b.WriteByte(c)
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// octal is the byte that an escape at the start of s stands for.
func octal(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' {
		return 0, false
	}
	v := 0
	for _, digit := range []byte(s[1:4]) {
		if digit < '0' || digit > '7' {
			return 0, false
		}
		v = v<<3 | int(digit-'0')
	}
	return byte(v), v < 256
}
