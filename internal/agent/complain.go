// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// complain says what is wrong, once for as long as it is.
func (a *Agent) complain(about, text string) { a.say(slog.LevelError, about, text) }

// await says what it waits for, once: nothing is wrong with that.
func (a *Agent) await(about, text string) { a.say(slog.LevelInfo, about, text) }

func (a *Agent) say(level slog.Level, about, text string) {
	if a.said[about] != text {
		a.said[about] = text
		a.Log.Log(context.Background(), level, text)
	}
}

// settle is for what is right again.
func (a *Agent) settle(about string) { delete(a.said, about) }

// complainOnly says each of several things that are wrong in one respect, and
// takes back what is not among them.
func (a *Agent) complainOnly(about string, texts []string) {
	maps.DeleteFunc(a.said, func(key, text string) bool {
		return strings.HasPrefix(key, about+" ") && !slices.Contains(texts, text)
	})
	for _, text := range texts {
		a.complain(about+" "+text, text)
	}
}

// problems are all that is wrong now.
func (a *Agent) problems() []string {
	all := slices.AppendSeq([]string{}, maps.Values(a.said))
	slices.Sort(all)
	all = append(all, a.tryAgain()...)
	for _, text := range a.limits.held(time.Now()) {
		all = append(all, "held back for now: "+text)
	}
	return all
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
