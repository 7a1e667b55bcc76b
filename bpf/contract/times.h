/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How long things took, and packets that are being timed. */
#ifndef WAYMARK_CONTRACT_TIMES_H
#define WAYMARK_CONTRACT_TIMES_H

#include "../kernel/constants.h"

/*
 * How many times there were, of a kind, of a class and uplink, in one octave of
 * seconds: entry k counts times t with 2^(octave + k/8) < t <= 2^(octave +
 * (k+1)/8) seconds, the buckets of a Prometheus native histogram of schema 3.
 * Times below the lowest octave count in its entry 0, and those above the highest
 * in its last. An octave that was never met has no entry, so that memory goes
 * with what is there: one octave is 128 bytes.
 */
enum time_kind {
	TIME_RTT,     /* of TCP, as enum rtt_limits says */
	TIME_CONNECT, /* of TCP, from the first SYN to established */
	TIME_QUEUE,   /* from tc egress to the driver */

	/* User space's own: of an uplink that failed, with an enum turn_cause for a slot. */
	TIME_TURN,     /* from its last sign of life to the first packet that left by another in its place */
	TIME_TURN_SUM, /* octave 0's entry 0: all of these together, in nanoseconds */
};

/*
 * The kernel tells of one measurement in each round trip, however many segments it
 * has. Each is counted but those of less than RTT_SHORT microseconds, of which a
 * connection may have a hundred thousand a second: once it has received RTT_EACH
 * segments, one of RTT_SAMPLE of them, as so many.
 */
enum rtt_limits { RTT_EACH = 64, RTT_SHORT = 1000, RTT_SAMPLE = 8 };

/* What an uplink failed by. */
enum turn_cause {
	TURN_CARRIER, /* its link went down, or its interface away */
	TURN_GATEWAY, /* its probes find nobody behind a link that is up */
	TURN_ADDRESS, /* it has no address any more */
};

enum time_limits {
	OCTAVE_PARTS = 8,
	LOWEST_OCTAVE = -24, /* 60 ns */
	HIGHEST_OCTAVE = 7,  /* 128 to 256 s */
	TIME_OCTAVES = 32768, /* entries in all */
};

struct time_key {
	__u32 slot;
	__u8 uplink;
	__u8 kind;
	__u8 octave; /* less LOWEST_OCTAVE */
	__u8 unused;
};

struct time_octave {
	__u64 count[OCTAVE_PARTS];
};

/*
 * A packet on its way from tc egress to the driver, one of QUEUE_SAMPLE that leave
 * by a line. Its tc_index is `tag`, whose lowest bits are its place; another that
 * takes the place costs the first its time. tag 0: nobody's.
 */
enum queue_limits { QUEUE_SAMPLE = 64, QUEUED = 1024 };

struct queued {
	__u64 ns;
	__u32 slot;
	__u16 uplink;
	__u16 tag;
};

#endif
