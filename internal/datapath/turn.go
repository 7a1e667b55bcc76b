// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cilium/ebpf"

	"waymark/bpf"
)

// TurnCause is what an uplink failed by, so that its classes turned to another.
type TurnCause uint32

// The causes of turns.
const (
	TurnCarrier = TurnCause(bpf.WaymarkTurnCauseTURN_CARRIER) // its link went down, or its interface away
	TurnGateway = TurnCause(bpf.WaymarkTurnCauseTURN_GATEWAY) // its probes find nobody behind a link that is up
	TurnAddress = TurnCause(bpf.WaymarkTurnCauseTURN_ADDRESS) // it has no address any more
)

// TurnCauses are all of them, in the order in which they are shown.
var TurnCauses = []TurnCause{TurnCarrier, TurnGateway, TurnAddress}

// String is the cause as metrics name it.
func (c TurnCause) String() string {
	return map[TurnCause]string{TurnCarrier: "carrier", TurnGateway: "gateway", TurnAddress: "address"}[c]
}

// AwaitTurn has the programs note the first packet from now on that leaves by
// another uplink in place of this one.
func (i *Instance) AwaitTurn(uplink int) error {
	if err := i.maps.Turns.Put(uint32(uplink), bpf.WaymarkTurn{Awaited: 1}); err != nil {
		return fmt.Errorf("wait for a packet by another uplink: %w", err)
	}
	return nil
}

// Turn tells when that packet left (CLOCK_MONOTONIC); ok is false while it is
// waited for, or was never.
func (i *Instance) Turn(uplink int) (at time.Duration, ok bool, err error) {
	var t bpf.WaymarkTurn
	if err := i.maps.Turns.Lookup(uint32(uplink), &t); err != nil {
		return 0, false, fmt.Errorf("see whether a packet left by another uplink: %w", err)
	}
	return time.Duration(t.Ns), t.Awaited == 0 && t.Ns != 0, nil
}

// CountTurn counts how long an uplink's classes took to leave by another. It
// is for one process at a time.
func (i *Instance) CountTurn(uplink int, cause TurnCause, took time.Duration) error {
	octave, part := octaveOf(took)
	key := bpf.WaymarkTimeKey{Slot: uint32(cause), Uplink: uint8(uplink), Kind: uint8(bpf.WaymarkTimeKindTIME_TURN), Octave: octave}
	sum := key
	sum.Kind, sum.Octave = uint8(bpf.WaymarkTimeKindTIME_TURN_SUM), 0
	err := errors.Join(i.addTime(key, part, 1), i.addTime(sum, 0, uint64(took)))
	if err != nil {
		return fmt.Errorf("count how long a fail-over took: %w", err)
	}
	return nil
}

func (i *Instance) addTime(key bpf.WaymarkTimeKey, part int, n uint64) error {
	var o bpf.WaymarkTimeOctave
	if err := i.maps.Times.Lookup(key, &o); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	o.Count[part] += n
	return i.maps.Times.Put(key, o)
}

// octaveOf is where a time is counted, as bpf/octave.h has it: the octave less
// the lowest, and the part of it.
func octaveOf(took time.Duration) (fromLowest uint8, part int) {
	lowest := int(bpf.WaymarkTimeLimitsLOWEST_OCTAVE) * octave
	bucket := int(math.Ceil(math.Log2(max(took, 1).Seconds())*float64(octave))) - 1
	bucket = min(max(bucket, lowest), highestOctave*octave+octave-1) - lowest
	return uint8(bucket / octave), bucket % octave
}

// Turns are how long an uplink's classes took to leave by another, by cause,
// as they were last read.
func (r *Reader) Turns(uplink int, cause TurnCause) Histogram {
	total := r.times.counted(uint32(cause), uplink, bpf.WaymarkTimeKindTIME_TURN_SUM).count
	return r.times.histogram(uint32(cause), uplink, bpf.WaymarkTimeKindTIME_TURN, total)
}
