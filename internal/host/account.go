// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Account is what a login gives a user beside its groups.
type Account struct{ Name, Home, Shell string }

// AccountOf returns a uid's. One that nobody has gets what sudo gives it: its
// number for a name, / and /bin/sh.
func AccountOf(uid uint32) Account {
	number := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(number)
	if err != nil {
		return Account{Name: number, Home: "/", Shell: defaultShell}
	}
	text, _ := os.ReadFile("/etc/passwd") // who is not in it, but in a directory, has the shell that everybody has
	return Account{Name: u.Username, Home: orElse(u.HomeDir, "/"), Shell: orElse(shellIn(string(text), u.Username), defaultShell)}
}

// defaultShell is that of who has none in /etc/passwd.
const defaultShell = "/bin/sh"

// shellIn is the last field of a user's line in the text of /etc/passwd.
func shellIn(passwd, name string) string {
	for line := range strings.Lines(passwd) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) == 7 && fields[0] == name {
			return fields[6]
		}
	}
	return ""
}

func orElse(text, standard string) string {
	if text == "" {
		return standard
	}
	return text
}
