/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose a source address is: the rules send what comes from an uplink's own by that uplink. */
#ifndef WAYMARK_HOME_H
#define WAYMARK_HOME_H

#include "refuse.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PINS);
	__type(key, __u32);
	__type(value, struct pin);
} pins SEC(".maps");

struct homes {
	struct words source;
	__u64 uplinks; /* as a bitmap */
};

/* One pin; returns 1 after the last. */
static long look_home(__u32 i, struct homes *h)
{
	const struct pin *pin = bpf_map_lookup_elem(&pins, &i);

	if (!pin || !pin->source.bits)
		return 1;
	if (in_prefix(&pin->source, &h->source))
		h->uplinks |= 1ULL << (pin->uplink & 63);
	return 0;
}

/* The uplinks of which a flow's source is an own address, as a bitmap. */
static __noinline __u64 homes_of_source(const struct flow *flow)
{
	struct homes h = {.source = flow->family == AF_INET ? mapped(flow->addresses[0].word[0]) : flow->addresses[0]};

	bpf_loop(MAX_PINS, look_home, &h, 0);
	return h.uplinks;
}

/* Whether a source is an uplink's: an own address, the one that it gives to datagrams, or for IPv6 in that one's /64. */
static __always_inline int has_source(__u32 number, __u64 homes, const struct flow *flow)
{
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &number);
	__u32 high = bpf_ntohl(flow->addresses[0].word[0]), low = bpf_ntohl(flow->addresses[0].word[1]);

	if (homes >> (number & 63) & 1)
		return 1;
	if (flow->family == AF_INET6)
		return u && u->source6[0] == high && u->source6[1] == low;
	return u && u->source4 == high;
}
#endif
