// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

const sysctls = "/proc/sys/"

// Sysctls returns the values of those of the named sysctls that exist, with
// no newline at the end. A name is a path below /proc/sys, such as
// "net/ipv4/conf/eth0.100/rp_filter": interface names may hold dots.
func Sysctls(names []string) (map[string]string, error) {
	values := make(map[string]string, len(names))
	for _, name := range names {
		if !fs.ValidPath(name) {
			return nil, fmt.Errorf("read sysctl %q: it is not a path below %s", name, sysctls)
		}
		value, err := os.ReadFile(sysctls + name)
		switch {
		case err == nil:
			values[name] = strings.TrimRight(string(value), "\n")
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("read sysctl: %w", err)
		}
	}
	return values, nil
}

// SetSysctl sets a sysctl, named as in Sysctls. The error is an
// fs.ErrNotExist when there is none of that name.
func SetSysctl(name, value string) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("set sysctl %q: it is not a path below %s", name, sysctls)
	}
	f, err := os.OpenFile(sysctls+name, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("set sysctl: %w", err)
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set sysctl to %q: %w", value, err)
	}
	return nil
}
