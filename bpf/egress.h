/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tc egress: what leaves an uplink is counted under its class, and sent by another if it should. */
#ifndef WAYMARK_EGRESS_H
#define WAYMARK_EGRESS_H

#include "homewards.h"
#include "leave.h"
#include "packet.h"
#include "repair.h"
#include "tunnel.h"

static __always_inline int on_course(const struct class_entry *class)
{
	if (class->flags & CLASS_BALANCED)
		return class->uplinks >> (uplink & 63) & 1;
	return class->flags & CLASS_ANYWHERE || class->route[0] == uplink;
}

/* Whether a class leaves by this uplink as long as nothing fails. */
static __always_inline int is_first_way(const struct class_entry *class)
{
	return class && (class->flags & CLASS_BALANCED ? class->uplinks >> (uplink & 63) & 1 : class->route[0] == uplink);
}

/* What the hook decided of a datagram on its way out; 0: it is not known. */
static __always_inline __u64 sent_as(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct flow flow = {};

	if (skb->ingress_ifindex || sk->dst_port || !read_packet(skb, &flow))
		return 0;
	return sent_to(sk, &flow);
}

/*
 * The mark is the class. A datagram's socket may know better: its mark was
 * set while the datagram was on its way (sendmsg), for this one or by now for
 * another, or could not be set at all (notes). Any other difference was asked
 * for by the sender.
 */
static __always_inline __u32 datagram_standing(struct __sk_buff *skb, struct bpf_sock *sk, __u32 carried)
{
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);

	if (!note)
		return carried;
	if (note->flags & NOTE_CLASS || (note->flags & NOTE_ASIDE && sk->dst_port && !is_to_peer(skb, sk)))
		return with_class(carried, note->class_mark);
	__u32 last = with_class(carried, sk->mark & mask);
	/* Most often datagrams of one class follow each other, and nothing has to be read. */
	if (!(note->flags & NOTE_SWITCHES) || (last == carried && is_first_way(class_of(last))))
		return last;
	__u64 datagram = sent_as(skb, sk);
	if (datagram)
		return with_class(carried, datagram & mask);
	/* One of before the socket changed class for the first time is where its own mark sent it. */
	return is_first_way(class_of(carried)) ? carried : last;
}

/* The mark that counts for a packet of a datagram socket of which there may be a note. */
static __noinline __u32 noted_mark(struct __sk_buff *skb, __u32 carried)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	return sk ? datagram_standing(skb, sk, carried) : carried;
}

/*
 * Whether no cgroup hook saw where the packet goes: it was forwarded, made
 * by the kernel, a tunnel or AF_PACKET, or comes from a raw or ping socket,
 * for whose sendto there is no hook, or of UDP-Lite, for whose connect there is none.
 */
static __always_inline int unseen(struct __sk_buff *skb, __u32 tunnelled)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk || (sk->family != AF_INET && sk->family != AF_INET6) || tunnelled)
		return 1;
	sk = bpf_sk_fullsock(sk);
	return sk && (is_unheard(sk) || is_icmp(sk->protocol));
}

/*
 * Whether a datagram's socket still carries the number of a class that it was
 * taken out of, into none: main's way is then another than the one it took.
 */
static __always_inline int strays(const struct __sk_buff *skb, __u32 mark, const struct class_entry *class)
{
	return class->flags & CLASS_ANYWHERE && is_classed(skb->mark) && !is_classed(mark) && class->hops &&
	       class->route[0] != uplink;
}

/* Counts an answer under the class of who sends it, which goes by this uplink or was asked by it. */
static __always_inline int answer(struct __sk_buff *skb)
{
	__u32 number = skb->tc_index & 1 ? 0 : skb->tc_index >> 1; /* odd ones are no class's */
	const struct class_entry *class = bpf_map_lookup_elem(&classes, &number);

	if (!class || !(class->flags & CLASS_IN_USE)) {
		number = 0;
		class = bpf_map_lookup_elem(&classes, &number);
	}
	if (!class)
		return TCX_NEXT;
	if (!on_course(class))
		return leave(skb, 0, class, CAUSE_CHOSEN);
	struct class_counters *c = line_of(class);
	if (c)
		count(skb, class, c);
	return TCX_NEXT;
}

/* The verdict on a packet that has no class by its mark, or is not where that class goes first. */
static __always_inline int out_of_line(struct __sk_buff *skb, __u32 mark, const struct class_entry *class)
{
	__u32 late = 0, tunnelled = !is_classed(mark) || (class && !on_course(class)) ? is_tunnelled(skb) : 0;

	/* The way of what a tunnel carries is not the tunnel's. */
	if (class && !on_course(class) && tunnelled)
		mark = with_class(mark, 0);
	if (!is_classed(mark) && !is_whole(mark) && unseen(skb, tunnelled)) {
		late = classify_unseen(skb, tunnelled);
		int sent = !tunnelled && made_by_kernel(skb) ? send_home(skb, late) : TCX_NEXT;
		if (sent != TCX_NEXT)
			return sent;
		mark = with_class(mark, late);
		class = class_of(mark);
		if (late)
			decide(mark, CAUSE_UNKNOWN, OUTCOME_LEFT);
	}
	if (!class)
		return TCX_NEXT;
	if (!on_course(class) || strays(skb, mark, class))
		return off_course(skb, mark, late ? CAUSE_LATE : CAUSE_UNKNOWN, tunnelled);
	if (class->flags & CLASS_ANSWERS)
		return answer(skb);
	struct class_counters *c = line_of(class);
	if (!c)
		return TCX_NEXT;
	count(skb, class, c);
	if (!class->slot && is_classed(mark)) { /* the number has no class */
		c->misroutes[CAUSE_FOREIGN] += segments_of(skb);
		decide(mark, CAUSE_FOREIGN, OUTCOME_LEFT);
	}
	return TCX_NEXT;
}

/*
 * Whether the kernel itself reports the groups that it is in (IGMP, MLD). It keeps
 * the room that is left in such a packet where a mark would be.
 */
static __noinline int is_report(struct __sk_buff *skb)
{
	struct ipv4_header v4 = {};
	struct ipv6_header v6 = {};

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return !load(skb, 0, &v4, sizeof(v4)) && v4.protocol == IPPROTO_IGMP;
	return skb->protocol == bpf_htons(ETH_P_IPV6) && !load(skb, 0, &v6, sizeof(v6)) && !v6.next &&
	       (v6.destination[0] & 0xff) == 0xff;
}

/*
 * Nearly every packet is classed and on its way. What it needs stands here in a
 * row and makes no call, for what it costs is the lines of code that it fetches.
 */
static __always_inline int egress_impl(struct __sk_buff *skb)
{
	__u32 carried = skb->mark, mark = carried;
	struct owner from = owner_of(skb);

	if (from.type == SOCK_DGRAM && from.noted)
		mark = noted_mark(skb, carried);
	else if (unlikely(skb->priority == TC_PRIO_CONTROL) && !from.mark && is_report(skb))
		mark = carried = skb->mark = 0;
	__u32 number = class_number(mark);
	const struct class_entry *class = bpf_map_lookup_elem(&classes, &number);
	if (!number || !class || (class->flags & (CLASS_IN_USE | CLASS_ANSWERS)) != CLASS_IN_USE || !on_course(class))
		return out_of_line(skb, mark, class_of(mark));
	struct class_counters *c = line_of(class);
	if (c)
		count_typed(skb, class, c, from.type, carried);
	return TCX_NEXT;
}
#endif
