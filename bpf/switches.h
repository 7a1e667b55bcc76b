/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What of the telemetry is off. */
#ifndef WAYMARK_SWITCHES_H
#define WAYMARK_SWITCHES_H

#include "contract.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} switches SEC(".maps");

/* The bits of telemetry_off. */
static __always_inline __u32 is_off(__u32 groups)
{
	__u32 zero = 0, *off = bpf_map_lookup_elem(&switches, &zero);

	return off ? *off & groups : 0;
}
#endif
