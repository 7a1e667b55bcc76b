/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet whose class goes by another uplink is asked about, and sent there where its source allows. */
#ifndef WAYMARK_REPAIR_H
#define WAYMARK_REPAIR_H

#include "cause.h"
#include "course.h"
#include "turn.h"

enum { ETH_HEADER = 14, ETH_SOURCE = 6, ETH_ALEN = 6 };

/* Whether an Ethernet packet's sender is its interface, by the address. */
static __always_inline int is_from_station(struct __sk_buff *skb)
{
	const struct sk_buff *kernel_skb = (const struct sk_buff *)address_of(skb);
	const struct net_device *device = 0;
	const unsigned char *address = 0;
	__u64 own = 0, source = 0;

	READ(device, kernel_skb->dev);
	READ(address, device->dev_addr);
	bpf_probe_read_kernel(&own, ETH_ALEN, address);
	return !bpf_skb_load_bytes(skb, ETH_SOURCE, &source, ETH_ALEN) && source == own;
}

/*
 * Whether an interface above this one sends a packet, a VLAN's or a macvlan's:
 * it leaves by that, and where it goes was decided there.
 */
static __always_inline int is_from_above(struct __sk_buff *skb)
{
	if (skb->vlan_present && skb->vlan_tci & VLAN_ID)
		return 1;
	if (skb->protocol == bpf_htons(ETH_P_8021Q) || skb->protocol == bpf_htons(ETH_P_8021AD))
		return 1;
	return link_header == ETH_HEADER && !is_from_station(skb);
}

/* A packet of which nothing more is to be asked. */
static __always_inline int let_pass(struct __sk_buff *skb, const struct class_entry *class, struct class_counters *c)
{
	count(skb, class, c);
	return TCX_NEXT;
}

/*
 * A packet that is on its class's way after all. A datagram that sendmsg
 * gave the address of an uplink that has no route any more is here by a
 * later rule, and gets the address that lives here.
 */
static __always_inline int let_go(struct __sk_buff *skb, struct flow *flow, const struct layers *at,
				  const struct class_entry *class, struct class_counters *c, __u32 tunnelled)
{
	__u32 here = uplink;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &here);

	if (u && !source_is_free(flow, skb->ifindex) && !named_source(skb, flow, tunnelled))
		rewrite_source(skb, flow, at, u, tunnelled);
	if (class->uplinks >> (uplink & 63) & 1)
		note_turn(class);
	return let_pass(skb, class, c);
}

/* Whether a packet goes to whom it names on its own link: there is no other way to them. */
static __always_inline int is_for_link(struct __sk_buff *skb, const struct flow *flow)
{
	if (flow->family == AF_INET)
		return is_multicast4(flow->addresses[1].word[0]) || is_broadcast(skb);
	return is_link_scope6(&flow->addresses[1]);
}

/* Sends a packet by the way of its class, from an address of the uplink there if it may have that one. */
static __always_inline int send_by(struct __sk_buff *skb, struct bpf_fib_lookup *fib, struct flow *flow, const struct layers *at,
				   const struct class_entry *class, struct class_counters *c, __u32 mark, __u32 cause,
				   __u32 named, __u32 unruled, __u32 tunnelled)
{
	struct way way = way_of(fib);
	__u32 fits = source_fits(skb, fib, flow, mark, unruled);

	if (!fits && !named && !has_free_source(skb, tunnelled) && !may_borrow(skb, flow, way.ifindex, tunnelled))
		return leave(skb, mark, class, CAUSE_PINNED);
	if (cause == CAUSE_CHOSEN || (!fits && named))
		return leave(skb, mark, class, CAUSE_CHOSEN);
	const struct uplink_entry *u = uplink_at(class, way.ifindex);
	if (!fits && (!u || !rewrite_source(skb, flow, at, u, tunnelled)))
		return leave(skb, mark, class, CAUSE_PINNED);
	c->misroutes[cause % CAUSES] += segments_of(skb);
	c->repaired += segments_of(skb);
	decide(mark, cause, OUTCOME_REPAIRED);
	skb->mark = mark;
	return bpf_redirect_neigh(way.ifindex, &way.hop, sizeof(way.hop), 0);
}

/* The verdict on a packet whose class goes first by another uplink than this, and that is a tunnel's or is not. */
__noinline int off_course(struct __sk_buff *skb, __u32 mark, __u32 cause, __u32 tunnelled)
{
	const struct class_entry *class = class_of(mark);
	struct flow flow = {};
	struct layers at = {};
	struct bpf_fib_lookup fib;

	if (!class)
		return TCX_NEXT;
	struct class_counters *c = line_of(class);
	if (!c)
		return TCX_NEXT;
	if (is_from_above(skb))
		return let_pass(skb, class, c);
	int legible = read_layers(skb, &flow, &at);
	if (cause == CAUSE_UNKNOWN)
		cause = cause_of(skb, &flow, tunnelled);
	if (!legible)
		return leave(skb, mark, class, cause);
	if (is_for_link(skb, &flow))
		return let_pass(skb, class, c);

	struct course way = course_of(skb, &fib, &flow, class, mark);
	if (way.unruled && cause == CAUSE_CHOSEN)
		cause = CAUSE_LATE;
	if (leads_here(skb, &fib, &flow, class, &way))
		return let_go(skb, &flow, &at, class, c, tunnelled);
	if ((!way.unruled || source_is_free(&flow, skb->ifindex)) && chosen(skb, &flow, tunnelled))
		return leave(skb, mark, class, CAUSE_CHOSEN);
	__u32 named = named_source(skb, &flow, tunnelled);
	if (is_no_answer(way.answer))
		return leave(skb, mark, class, cause_unasked(skb, &flow, named, cause, tunnelled));
	if (!way.answer)
		return send_by(skb, &fib, &flow, &at, class, c, mark, cause, named, way.unruled, tunnelled);
	if (named && !way.unruled && lives_here(skb, &fib, &flow, mark))
		return leave(skb, mark, class, CAUSE_CHOSEN);
	return leave(skb, mark, class, CAUSE_NO_ROUTE);
}

/* The mark of the class of a packet that no hook of ours has seen; 0: none. */
__noinline __u32 classify_unseen(struct __sk_buff *skb, __u32 tunnelled)
{
	struct flow flow = {.uid = ~0U};

	if (!has_tuples() || !read_packet(skb, &flow))
		return 0;
	return tunnelled ? classify_headers(&flow) : classify_packet(skb, &flow);
}

#endif
