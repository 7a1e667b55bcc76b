/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet whose class goes by another uplink is asked about, and sent there where its source allows. */
#ifndef WAYMARK_REPAIR_H
#define WAYMARK_REPAIR_H

#include "core.h"
#include "refuse.h"
#include "rewrite.h"

enum { LOOPBACK = 1 }; /* lo's ifindex, in every network namespace */

static __always_inline void question(struct bpf_fib_lookup *fib, const struct flow *flow)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = flow->family;
	fib->l4_protocol = flow->proto;
	fib->sport = bpf_htons(flow->ports[0]);
	fib->dport = bpf_htons(flow->ports[1]);
	fib->ifindex = LOOPBACK;
	from_words(fib->dst, &flow->addresses[1]);
}

/*
 * The kernel's own route for an IPv4 flow with this mark: by the rules for
 * local packets, which start at lo. Without a source it is the way of the
 * class; with it, the way the rules for that source allow.
 */
static __always_inline long ask4(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow, __u32 mark,
				 __u32 source)
{
	question(fib, flow);
	fib->mark = mark;
	fib->src[0] = bpf_ntohl(source);
	return bpf_fib_lookup(skb, fib, sizeof(*fib), BPF_FIB_LOOKUP_MARK | BPF_FIB_LOOKUP_SKIP_NEIGH);
}

/* The way of a class past all rules: the first of its uplinks' tables that has a route. */
static __always_inline long ask_tables(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow,
				       const struct class_entry *class)
{
	long answer = BPF_FIB_LKUP_RET_NOT_FWDED;

	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (!u)
			break;
		question(fib, flow);
		fib->table = u->table;
		answer = bpf_fib_lookup(skb, fib, sizeof(*fib),
					BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_TBID | BPF_FIB_LOOKUP_SKIP_NEIGH);
		if (answer != BPF_FIB_LKUP_RET_NOT_FWDED)
			break;
	}
	return answer;
}

/* Whether the kernel cannot be asked, rather than that it knows no way. */
static __always_inline int is_no_answer(long answer)
{
	return answer < 0 || answer > BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* A way out: an interface and the next hop on it. */
struct way {
	__u32 ifindex;
	struct bpf_redir_neigh hop;
};

static __always_inline struct way way_of(const struct bpf_fib_lookup *fib)
{
	struct way w = {.ifindex = fib->ifindex, .hop.nh_family = fib->family};

	for (int i = 0; i < 4; i++)
		w.hop.nh[i] = fib->dst[i];
	return w;
}

/* The uplink of a class's route that is behind an interface. */
static __always_inline const struct uplink_entry *uplink_at(const struct class_entry *class, __u32 ifindex)
{
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (u && u->ifindex == ifindex)
			return u;
	}
	return 0;
}

/* Whether a packet's source is an uplink's address, or for IPv6 in its /64. */
static __always_inline int has_source(const struct uplink_entry *u, const struct flow *flow)
{
	__u32 high = bpf_ntohl(flow->addresses[0].word[0]), low = bpf_ntohl(flow->addresses[0].word[1]);

	if (flow->family == AF_INET6)
		return u->source6[0] == high && u->source6[1] == low;
	return u->source4 == high;
}

/* Whether a source may leave by an interface: it is no other uplink's, by what user space knows of them. */
__noinline int source_is_free(const struct flow *flow, __u32 ifindex)
{
	__u32 elsewhere = 0;

	if (!flow)
		return 0;
	for (__u32 i = 0; i < MAX_UPLINKS; i++) {
		if (i >= uplink_limit)
			break;
		__u32 index = i;
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (!u || !has_source(u, flow))
			continue;
		if (u->ifindex == ifindex)
			return 1;
		elsewhere = 1;
	}
	return !elsewhere;
}

/* Whether the rules let a source address leave by the interface that its class goes by; without rules, whether it is no other's. */
static __always_inline int source_fits(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow, __u32 mark,
				       __u32 unruled)
{
	__u32 to = fib->ifindex;

	if (flow->family == AF_INET6 || unruled)
		return source_is_free(flow, to);
	return !ask4(skb, fib, flow, mark, flow->addresses[0].word[0]) && fib->ifindex == to;
}

static __always_inline int is_connected(struct bpf_sock *sk)
{
	return sk->dst_port || sk->dst_ip4;
}

/*
 * Why a packet is here and not on its class's uplink, if nothing else
 * explains it. A datagram that was routed with the mark that it has now,
 * and with no route from earlier, is here because its sender named the
 * interface beside it (IP_PKTINFO, IP_UNICAST_IF).
 */
__noinline int cause_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = sender_of(skb);

	if (!sk)
		return CAUSE_LATE;
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	if (note && note->flags & NOTE_BEFORE)
		return CAUSE_BEFORE;
	if (note)
		return CAUSE_LATE;
	if ((sk->mark ^ skb->mark) & mask)
		return CAUSE_FOREIGN;
	return sk->type == SOCK_STREAM || is_connected(sk) ? CAUSE_LATE : CAUSE_CHOSEN;
}

/*
 * Whether a packet is tagged, by a VLAN's interface above this one: it
 * leaves by that, and where it goes was decided there.
 */
static __always_inline int is_tagged(const struct __sk_buff *skb)
{
	if (skb->vlan_present && skb->vlan_tci & VLAN_ID)
		return 1;
	return skb->protocol == bpf_htons(ETH_P_8021Q) || skb->protocol == bpf_htons(ETH_P_8021AD);
}

/*
 * Whether the application said where its packets leave: by device, or by VRF, or by
 * answering where it was asked. The kernel's own answers, a SYN-ACK, a RST,
 * the last ACK of a connection, all of ICMP, leave where the question came;
 * some have no socket, and have come in by no interface.
 */
static __always_inline int chosen(struct __sk_buff *skb, const struct flow *flow)
{
	struct bpf_sock *sk = skb->sk;

	if (is_tunnelled(skb))
		return 0;
	if (!sk)
		return !skb->ingress_ifindex;
	sk = bpf_sk_fullsock(sk);
	if (!sk || (sk->type == SOCK_RAW && (flow->proto == IPPROTO_TCP || is_kernels(sk))))
		return 1;
	if (sk->bound_dev_if && (sk->bound_dev_if == skb->ifindex || sk->bound_dev_if == master))
		return 1;
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	return note && note->flags & NOTE_INBOUND;
}

/*
 * Whether it was the application that said where its packets come from: by
 * a bind, in the header it wrote, or with the datagram. (The kernel notes
 * no bind of a raw socket; but only a connect would give it another source.)
 */
__noinline int named_source(struct __sk_buff *skb)
{
	struct bpf_sock *sk = sender_of(skb);

	if (!sk)
		return 0;
	if (socket_locks(sk) & SOCK_BINDADDR_LOCK || sk->protocol == IPPROTO_RAW)
		return 1;
	if (sk->type == SOCK_RAW && sk->family == AF_INET)
		return sk->src_ip4 && !sk->dst_ip4;
	if (sk->type == SOCK_RAW)
		return sk->src_ip6[0] && !sk->dst_ip6[0];
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	return note && note->flags & NOTE_SOURCE;
}

/* Whether a packet's source is one that the rules send by this uplink, whatever its class. */
static __always_inline int lives_here(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow, __u32 mark)
{
	__u32 here = uplink;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &here);

	if (flow->family == AF_INET)
		return !ask4(skb, fib, flow, mark, flow->addresses[0].word[0]) && fib->ifindex == skb->ifindex;
	return u && u->source6[0] == bpf_ntohl(flow->addresses[0].word[0]) &&
	       u->source6[1] == bpf_ntohl(flow->addresses[0].word[1]);
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct turn);
} turns SEC(".maps");

/* Notes that a packet leaves here in place of the uplinks before this one in its class's route, where that is waited for. */
static __noinline int note_turn(const struct class_entry *class)
{
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops || class->route[i] == uplink)
			break;
		__u32 index = class->route[i];
		struct turn *t = bpf_map_lookup_elem(&turns, &index);
		if (t && t->awaited) {
			t->ns = bpf_ktime_get_ns();
			t->awaited = 0;
		}
	}
	return 0;
}

/*
 * A packet that is on its class's way after all. A datagram that sendmsg
 * gave the address of an uplink that has no route any more is here by a
 * later rule, and gets the address that lives here.
 */
static __always_inline int let_go(struct __sk_buff *skb, struct flow *flow, const struct layers *at,
				  const struct class_entry *class, struct class_counters *c)
{
	__u32 here = uplink;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &here);

	if (u && !source_is_free(flow, skb->ifindex) && !named_source(skb))
		rewrite_source(skb, flow, at, u);
	if (class->uplinks >> (uplink & 63) & 1)
		note_turn(class);
	count(skb, class, c);
	return TCX_NEXT;
}

/* Whether a packet goes to whom it names on its own link: there is no other way to them. */
static __always_inline int is_for_link(struct __sk_buff *skb, const struct flow *flow)
{
	if (flow->family == AF_INET)
		return is_multicast4(flow->addresses[1].word[0]) || is_broadcast(skb);
	return is_link_scope6(&flow->addresses[1]);
}

/*
 * Whether the way is right by all that can be told when the kernel cannot be
 * asked: any uplink of the route passes, and for IPv4 any that main knew the
 * destination by.
 */
static __always_inline int passes(const struct class_entry *class, const struct flow *flow)
{
	if (class->uplinks >> (uplink & 63) & 1)
		return 1;
	if (flow->family != AF_INET || class->flags & CLASS_STRICT)
		return 0;
	struct words destination = mapped(flow->addresses[1].word[0]);

	return is_inside(&destination, 1);
}

/*
 * Whether the rules send what carries an IPv4 class's mark, and goes to nowhere
 * in particular, by none of the class's uplinks: somebody removed the class's own
 * (networkd does, when it configures a link), or put his before them. 0.0.0.0 is
 * reached by a default alone.
 */
__noinline int lacks_rules4(struct __sk_buff *skb, __u32 mark)
{
	const struct class_entry *class = class_of(mark);
	struct bpf_fib_lookup fib = {.family = AF_INET, .ifindex = LOOPBACK, .mark = mark};

	return class && !bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_MARK | BPF_FIB_LOOKUP_SKIP_NEIGH) &&
	       !uplink_at(class, fib.ifindex);
}

/* The cause of a packet that the kernel cannot be asked about: where its source lives says something all the same. */
static __always_inline __u32 cause_unasked(struct __sk_buff *skb, const struct flow *flow, __u32 named, __u32 cause)
{
	__u32 here = uplink;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &here);

	if (!u || !has_source(u, flow))
		return cause;
	if (named)
		return CAUSE_CHOSEN;
	return has_free_source(skb) ? cause : CAUSE_PINNED;
}

/* The verdict on a packet whose class goes first by another uplink than this. */
__noinline int off_course(struct __sk_buff *skb, __u32 mark, __u32 cause)
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
	if (is_tagged(skb)) {
		count(skb, class, c);
		return TCX_NEXT;
	}
	if (cause == CAUSE_UNKNOWN)
		cause = cause_of(skb);
	if (!read_layers(skb, &flow, &at))
		return leave(skb, mark, class, cause);

	if (is_for_link(skb, &flow)) {
		count(skb, class, c);
		return TCX_NEXT;
	}
	__u32 six = flow.family == AF_INET6;
	long answer = six ? 0 : ask4(skb, &fib, &flow, mark, 0);
	__u32 unasked = is_no_answer(answer), unruled = 0;
	/* By its rules no class that must not leak goes by main's default. For IPv6 the packet's own route tells. */
	if (class->flags & CLASS_NO_LEAK && six)
		unruled = !bits_in_main(skb);
	else if (class->flags & CLASS_NO_LEAK && (unasked || (!answer && fib.ifindex == skb->ifindex)))
		unruled = !passes(class, &flow) && (unasked || lacks_rules4(skb, mark));
	if (unruled && cause == CAUSE_CHOSEN)
		cause = CAUSE_LATE;
	if (six || (unruled && !unasked)) {
		answer = ask_tables(skb, &fib, &flow, class);
		unasked = is_no_answer(answer);
	}
	/* For IPv4 the kernel was asked past the class's tables too, down to main. */
	__u32 by_main = six && answer == BPF_FIB_LKUP_RET_NOT_FWDED && !(class->flags & CLASS_NO_LEAK);
	if ((!answer && fib.ifindex == skb->ifindex) || by_main || (six && bits_in_main(skb) > 0) ||
	    (unasked && passes(class, &flow)))
		return let_go(skb, &flow, &at, class, c);
	if ((!unruled || source_is_free(&flow, skb->ifindex)) && chosen(skb, &flow))
		return leave(skb, mark, class, CAUSE_CHOSEN);
	__u32 named = named_source(skb);
	if (unasked)
		return leave(skb, mark, class, cause_unasked(skb, &flow, named, cause));
	if (answer)
		return leave(skb, mark, class, named && !unruled && lives_here(skb, &fib, &flow, mark) ? CAUSE_CHOSEN : CAUSE_NO_ROUTE);

	struct way way = way_of(&fib);
	__u32 fits = source_fits(skb, &fib, &flow, mark, unruled);
	if (!fits && !named && !has_free_source(skb))
		return leave(skb, mark, class, CAUSE_PINNED);
	if (cause == CAUSE_CHOSEN || (!fits && named))
		return leave(skb, mark, class, CAUSE_CHOSEN);
	const struct uplink_entry *u = uplink_at(class, way.ifindex);
	if (!fits && (!u || !rewrite_source(skb, &flow, &at, u)))
		return leave(skb, mark, class, CAUSE_PINNED);
	c->misroutes[cause % CAUSES] += segments_of(skb);
	c->repaired += segments_of(skb);
	decide(mark, cause, OUTCOME_REPAIRED);
	skb->mark = mark;
	return bpf_redirect_neigh(way.ifindex, &way.hop, sizeof(way.hop), 0);
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
