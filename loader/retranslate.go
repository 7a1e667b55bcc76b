// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
)

// retranslate has the kernel forget the connections whose source was translated
// for one uplink and which leave by another now: a connection keeps its source
// for as long as the kernel knows it, and over there nobody answers to it.
func (a *apply) retranslate() error {
	if len(a.plan.SNAT) == 0 {
		return nil
	}
	var failed error
	_, err := host.ForgetTranslated(func(c host.Translated) bool {
		given := a.plan.Translators(c.As)
		if len(given) == 0 || failed != nil {
			return false
		}
		out, err := a.leavesBy(c)
		failed = err
		return err == nil && out != "" && !slices.Contains(given, out)
	})
	return errors.Join(err, failed)
}

// leavesBy is the interface by which the next packet of who began a connection
// leaves; "" for none, or if that is not to be known: the host's own sockets
// may be in a class by more than what their packets say.
func (a *apply) leavesBy(c host.Translated) (string, error) {
	back, err := a.rules.Lookup(rpdb.Query{Dst: c.Source.Addr()})
	if err != nil || back.Err != "" || back.Table == plan.TableLocal {
		return "", err
	}
	from := a.survey.facts.Inner[back.Interface]
	line := a.plan.Winner(match.Flow{Proto: uint32(c.Proto), Src: c.Source.Addr(), Dst: c.Peer.Addr(),
		Sport: uint32(c.Source.Port()), Dport: uint32(c.Peer.Port()), IIF: uint32(from.Index)})
	q := rpdb.Query{Dst: c.Dst, Src: c.Source.Addr(), From: back.Interface}
	if c.Proto == unix.IPPROTO_TCP || c.Proto == unix.IPPROTO_UDP {
		q.Proto, q.Sport, q.Dport = c.Proto, c.Source.Port(), c.Peer.Port()
	}
	if line != nil {
		q.Mark = a.plan.ClassMark(line.Class)
	}
	out, err := a.rules.Lookup(q)
	return out.Interface, err
}
