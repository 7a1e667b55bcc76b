/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way of a class, by the kernel's rules and tables: the programs ask for it. */
#ifndef WAYMARK_COURSE_H
#define WAYMARK_COURSE_H

#include "core.h"
#include "leave.h"
#include "refuse.h"
#include "rewrite.h"

enum { IPV4_TOS = 1 };
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
	load(skb, IPV4_TOS, &fib->tos, sizeof(fib->tos));
	fib->mark = mark;
	fib->src[0] = bpf_ntohl(source);
	return bpf_fib_lookup(skb, fib, sizeof(*fib), BPF_FIB_LOOKUP_MARK | BPF_FIB_LOOKUP_SKIP_NEIGH);
}

/* The way of a flow by one uplink, past all rules. */
static __always_inline long ask_table(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow,
				      const struct uplink_entry *u)
{
	question(fib, flow);
	fib->table = u->table;
	return bpf_fib_lookup(skb, fib, sizeof(*fib), BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_TBID | BPF_FIB_LOOKUP_SKIP_NEIGH);
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
		answer = ask_table(skb, fib, flow, u);
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

	return is_inside(&destination, 1, 0);
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

/* What is known of the way of a packet's class. */
struct course {
	long answer;   /* the kernel's, when it was asked for it; none (is_no_answer): it cannot be asked */
	__u32 unruled; /* no rule keeps the class, which must not leak, on its uplinks */
};

/* By its rules no class that must not leak goes by main's default. For IPv6 the packet's own route tells. */
static __always_inline __u32 is_unruled(struct __sk_buff *skb, const struct bpf_fib_lookup *fib, const struct flow *flow,
					const struct class_entry *class, __u32 mark, long answer)
{
	if (!(class->flags & CLASS_NO_LEAK))
		return 0;
	if (flow->family == AF_INET6)
		return !bits_in_main(skb);
	if (is_no_answer(answer))
		return !passes(class, flow);
	return !answer && fib->ifindex == skb->ifindex && !passes(class, flow) && lacks_rules4(skb, mark);
}

static __always_inline struct course course_of(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow,
					       const struct class_entry *class, __u32 mark)
{
	__u32 six = flow->family == AF_INET6;
	struct course w = {.answer = six ? 0 : ask4(skb, fib, flow, mark, 0)};

	w.unruled = is_unruled(skb, fib, flow, class, mark, w.answer);
	if (six || (w.unruled && !is_no_answer(w.answer)))
		w.answer = ask_tables(skb, fib, flow, class);
	return w;
}

/* Whether a packet is on its class's way after all. For IPv4 the kernel was asked past the class's tables too, down to main. */
static __always_inline int leads_here(struct __sk_buff *skb, const struct bpf_fib_lookup *fib, const struct flow *flow,
				      const struct class_entry *class, const struct course *w)
{
	__u32 six = flow->family == AF_INET6;

	if (!w->answer && fib->ifindex == skb->ifindex)
		return 1;
	if (six && w->answer == BPF_FIB_LKUP_RET_NOT_FWDED && !(class->flags & CLASS_NO_LEAK))
		return 1;
	if (six && bits_in_main(skb) > 0)
		return 1;
	return is_no_answer(w->answer) && passes(class, flow);
}

#endif
