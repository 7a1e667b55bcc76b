/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which bucket of a histogram a time is in. */
#ifndef WAYMARK_OCTAVE_H
#define WAYMARK_OCTAVE_H

#include "contract.h"

static __always_inline __u32 log2_of(__u64 value)
{
	__u32 log = 0;

#pragma unroll
	for (__u32 bits = 32; bits; bits /= 2) {
		if (value >> bits) {
			log += bits;
			value >>= bits;
		}
	}
	return log;
}

/* 2^(k/8), times 2^31, rounded down. */
static const __u32 eighths[OCTAVE_PARTS] = {0x80000000, 0x8b95c1e3, 0x9837f051, 0xa5fed6a9,
					    0xb504f333, 0xc5672a11, 0xd744fcca, 0xeac0c6e7};

enum {
	NANOSECOND = 36028797, /* in units of 2^-55 s, to one part in a thousand million */
	UNITS = 55,
	LONGEST = 37, /* log2 of the longest time in nanoseconds: with one bit more the product would not fit */
};

/* The octave that a time is in, counted from the lowest, and the part of it. */
static __always_inline __u32 octave_of(__u64 ns, __u32 *part)
{
	__u64 units = (ns >> LONGEST ? 1ULL << LONGEST : ns | !ns) * NANOSECOND;
	__u32 log = log2_of(units), mantissa = units << ((63 - log) & 63) >> 32;

	if (log < UNITS + LOWEST_OCTAVE) {
		*part = 0;
		return 0;
	}
	__u32 at = mantissa > eighths[4] ? 4 : 0;
	at += mantissa > eighths[(at + 2) & 7] ? 2 : 0;
	at += mantissa > eighths[(at + 1) & 7] ? 1 : 0;
	*part = at;
	return log - (UNITS + LOWEST_OCTAVE);
}
#endif
