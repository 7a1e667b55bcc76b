/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel says itself of a packet that was forwarded in with a new
 * destination (DNAT): "time exceeded", "too big", "unreachable", a RST of a
 * filter's. It comes from no address when it is routed, so it goes main's way;
 * then it gets the address that was asked, which may be another uplink's. That
 * one is where the packet came in, and where the answer is not taken for forged.
 */
#ifndef WAYMARK_HOMEWARDS_H
#define WAYMARK_HOMEWARDS_H

#include "repair.h"

/* The first uplink that a flow's source is of. */
static __always_inline const struct uplink_entry *home_of_source(const struct flow *flow)
{
	__u64 homes = homes_of_source(flow);

	for (__u32 i = 0; i < MAX_UPLINKS; i++) {
		if (i >= uplink_limit)
			break;
		__u32 index = i;
		if (has_source(i, homes, flow))
			return bpf_map_lookup_elem(&uplinks, &index);
	}
	return 0;
}

/*
 * Asks for the way of what comes from a flow's source: the rules', or for IPv6,
 * where they cannot be asked, that of the uplink. A class may have a rule for
 * the source itself that comes before the uplink's: what one took is left to it.
 * That went by another table than main.
 */
static __always_inline long ask_homewards(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow,
					  __u32 class_mark)
{
	if (flow->family == AF_INET)
		return ask4(skb, fib, flow, skb->mark, flow->addresses[0].word[0]);
	int bits = bits_in_main(skb);
	const struct uplink_entry *home = bits > 0 || (bits && class_mark) ? 0 : home_of_source(flow);
	return home ? ask_table(skb, fib, flow, home) : BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Gives what the kernel says of an answer that was given back (a RST to it, say) the borrowed source, too. */
static __always_inline int borrow_again(struct __sk_buff *skb, struct flow *flow, const struct layers *at)
{
	const struct borrowed *b = borrowed_for(flow, SOURCE);
	__u32 fresh[4];

	if (!b || !same_words(&b->own, &flow->addresses[SOURCE]))
		return 0;
	from_words(fresh, &b->source);
	return flow->family == AF_INET ? rewrite4(skb, flow, at, SOURCE, fresh[0]) : rewrite6(skb, flow, at, SOURCE, fresh);
}

/* Sends a packet by the uplink that its source is of, where it is counted; TCX_NEXT: it is right here, or there is no way there. */
__noinline int send_home(struct __sk_buff *skb, __u32 class_mark)
{
	struct flow flow = {};
	struct layers at = {};
	struct bpf_fib_lookup fib;

	if (!read_layers(skb, &flow, &at) || is_for_link(skb, &flow) || is_from_above(skb))
		return TCX_NEXT;
	if (unlikely(lends()) && borrow_again(skb, &flow, &at))
		class_mark = 0;
	if (source_is_free(&flow, skb->ifindex))
		return TCX_NEXT;
	if (ask_homewards(skb, &fib, &flow, class_mark) || fib.ifindex == skb->ifindex)
		return TCX_NEXT;
	struct way way = way_of(&fib);
	return bpf_redirect_neigh(way.ifindex, &way.hop, sizeof(way.hop), 0);
}

#endif
