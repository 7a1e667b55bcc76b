// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// rows are the rows of a list, by place in it, as JSON.
type rows map[int]json.RawMessage

func (r *rows) set(n int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // these types have JSON for all their values
	}
	if *r == nil {
		*r = rows{}
	}
	(*r)[n] = text
}

// since is what is new or other than before.
func (r rows) since(before rows) rows {
	changed := rows{}
	for n, text := range r {
		if !bytes.Equal(before[n], text) {
			changed[n] = text
		}
	}
	return changed
}

// event is one reading, as it is sent: to those who have seen the one
// before, and to those who have not.
type event struct {
	changed []byte
	whole   func() []byte
}

// eventOf is what a frame says to those who have seen the one before. Rows
// of another state or another number of them may be anybody's: all are sent.
func eventOf(now, before frame) event {
	whole := func() []byte {
		now.Whole = true
		return now.encode()
	}
	if now.State != before.State || len(now.Classes) != len(before.Classes) || len(now.Lines) != len(before.Lines) || len(now.Rules) != len(before.Rules) {
		text := whole()
		return event{text, func() []byte { return text }}
	}
	changed := now
	changed.Classes, changed.Lines, changed.Rules = now.Classes.since(before.Classes), now.Lines.since(before.Lines), now.Rules.since(before.Rules)
	return event{changed.encode(), whole}
}

// encode puts the rows in as they are: the encoder would read each again.
func (f frame) encode() []byte {
	lists := []rows{f.Classes, f.Lines, f.Rules}
	f.Classes, f.Lines, f.Rules = nil, nil, nil
	text := encode(f)
	text = text[:len(text)-1]
	for k, name := range []string{"classes", "lines", "rules"} {
		text = append(text, `,"`+name+`":`...)
		text = lists[k].append(text)
	}
	return append(text, '}')
}

func (r rows) append(text []byte) []byte {
	open := byte('{')
	for n, row := range r {
		text = append(text, open, '"')
		text = append(strconv.AppendInt(text, int64(n), 10), '"', ':')
		text = append(text, row...)
		open = ','
	}
	if len(r) == 0 {
		text = append(text, open)
	}
	return append(text, '}')
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
