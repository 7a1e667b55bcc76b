// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
)

// newLog writes lines of key=value. If they go to the journal, which
// JOURNAL_STREAM says, they have the priority that it reads (sd-daemon(3)) and
// no time, which it adds itself.
func newLog(file *os.File, journalStream string) *slog.Logger {
	if !isStream(file, journalStream) {
		return slog.New(slog.NewTextHandler(file, nil))
	}
	return slog.New(newJournal(file))
}

// isStream tells whether a file is the one of "DEVICE:INODE".
func isStream(file *os.File, stream string) bool {
	var s syscall.Stat_t
	return stream != "" && syscall.Fstat(int(file.Fd()), &s) == nil && stream == fmt.Sprintf("%d:%d", s.Dev, s.Ino)
}

// journal is a slog.Handler for the journal.
type journal struct {
	slog.Handler
	line *bytes.Buffer // where Handler writes
	lock *sync.Mutex
	out  io.Writer
}

func newJournal(out io.Writer) *journal {
	line := &bytes.Buffer{}
	plain := slog.NewTextHandler(line, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	return &journal{plain, line, &sync.Mutex{}, out}
}

// Handle writes one record as one line.
func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	j.lock.Lock()
	defer j.lock.Unlock()
	j.line.Reset()
	if err := j.Handler.Handle(ctx, r); err != nil {
		return err
	}
	text := strings.TrimSpace(strings.ReplaceAll(r.Message, "\n", " ") + " " + j.line.String())
	_, err := fmt.Fprintf(j.out, "<%d>%s\n", priority(r.Level), text)
	return err
}

// WithAttrs is slog.Handler's.
func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journal{j.Handler.WithAttrs(attrs), j.line, j.lock, j.out}
}

// WithGroup is slog.Handler's.
func (j *journal) WithGroup(name string) slog.Handler {
	return &journal{j.Handler.WithGroup(name), j.line, j.lock, j.out}
}

// priority is syslog's number of a level.
func priority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}
