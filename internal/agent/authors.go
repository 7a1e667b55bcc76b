// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/host"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
)

// mostAuthors bounds what is remembered between two looks.
const mostAuthors = 4096

// authors remembers who asked the kernel for which change, from the moment
// its notice came: a moment later the process may be gone.
type authors struct {
	sync.Mutex
	of   map[string]author // by an object's where
	last author
	port uint32
}

type author struct {
	name string
	at   time.Time
}

// hear notes that there is something to look at.
func (a *Agent) hear() { note(a.news) }

// hurry notes that there is something to look at that others wait for, or will not:
// a container begins to send as soon as it is there.
func (a *Agent) hurry() { note(a.haste) }

// note puts an element where there is none yet.
func note(of chan<- struct{}) {
	select {
	case of <- struct{}{}:
	default:
	}
}

// listen begins to hear of changes.
func (a *Agent) listen() (stop func(), err error) {
	w, err := a.Loader.Watch()
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := w.Run(func(c rpdb.Change) {
			a.authors.note(c, time.Now())
			a.turns.hear(c.Lost)
			if c.Lost != 0 {
				a.probes.Lost(c.Lost)
			}
			switch {
			case c.Fresh:
				a.hurry() // it may be a container's, whose first packet is on its way
			case canWait(c):
				note(a.others)
			default:
				a.hear()
			}
		})
		if err != nil {
			a.Log.Error("no notices of the kernel any more; the look once a minute goes on", "error", err)
		}
	}()
	return func() { w.Close(); <-done }, nil
}

// canWait tells whether a notice is of a network that others have a way to: a
// routing daemon does not stop changing these, and to read a full table takes long.
func canWait(c rpdb.Change) bool {
	r := c.Route
	return r != nil && !r.IsDefault() && r.Protocol != plan.Protocol && r.Protocol != unix.RTPROT_KERNEL
}

func (a *authors) note(c rpdb.Change, now time.Time) {
	where := ""
	switch {
	case c.Port == 0:
	case c.Rule != nil:
		where = whereRule(*c.Rule)
	case c.Route != nil && c.Route.Table != plan.TableMain:
		where = whereRoute(*c.Route)
	}
	if where == "" {
		return
	}
	a.Lock()
	defer a.Unlock()
	if c.Port != a.port || now.Sub(a.last.at) > second {
		a.port, a.last.name = c.Port, host.Requester(c.Port)
	}
	a.last.at = now
	if a.of == nil || len(a.of) > mostAuthors {
		a.of = map[string]author{}
	}
	a.of[where] = a.last
}

// named is who last asked for a change of an object; "" if that is not known.
func (a *authors) named(o Object) string {
	a.Lock()
	defer a.Unlock()
	return a.of[o.where].name
}

// know tells whether somebody asked for a change of an object.
func (a *authors) know(o Object) bool {
	a.Lock()
	defer a.Unlock()
	_, known := a.of[o.where]
	return known
}

// forget drops what was noted before a look that put everything back.
func (a *authors) forget(before time.Time) {
	a.Lock()
	defer a.Unlock()
	maps.DeleteFunc(a.of, func(_ string, x author) bool { return x.at.Before(before) })
}
