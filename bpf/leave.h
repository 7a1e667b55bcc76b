/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What leaves an uplink is counted under its class, and told of; what would be a leak is not let out. */
#ifndef WAYMARK_LEAVE_H
#define WAYMARK_LEAVE_H

#include "count.h"
#include "decided.h"
#include "queue.h"

/* "No opinion": the next program, or filter of a clsact, decides. */
enum { TCX_NEXT = -1 };

/* The uplink that this copy of the program is attached to. */
const volatile __u32 uplink;

static __always_inline struct class_counters *line_of(const struct class_entry *class)
{
	return counters_of(class, uplink);
}

/* Of every QUEUE_SAMPLE one, at a place among them that a hash chooses: the same place each time would be the same one of every burst of as many. */
static __always_inline int is_queue_sample(__u32 before, __u32 segments)
{
	__u32 chosen = before / QUEUE_SAMPLE * 0x9e3779b1U / (0xffffffffU / QUEUE_SAMPLE + 1);

	return chosen - before % QUEUE_SAMPLE < segments;
}

/* For a packet that carries a mark and is of a type of socket. */
static __always_inline void count_typed(struct __sk_buff *skb, const struct class_entry *class, struct class_counters *c,
					__u32 type, __u32 carried)
{
	__u32 segments = segments_of(skb);
	__u64 before = c->packets;

	c->packets = before + segments;
	if (unlikely(is_queue_sample(before, segments)))
		enter_queue(skb, class->slot, uplink);
	c->bytes += skb->wire_len;
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		c->packets6 += segments;
		c->bytes6 += skb->wire_len;
	}
	if (type == SOCK_STREAM)
		c->segments += segments;
	if (unlikely(carried & ~mask))
		c->foreign += segments;
}

static __always_inline void count(struct __sk_buff *skb, const struct class_entry *class, struct class_counters *c)
{
	count_typed(skb, class, c, owner_by_call(skb->sk).type, skb->mark);
}

/* Says what became of a packet to those who watch. */
static __noinline int decide(__u32 mark, __u32 cause, __u32 outcome)
{
	__u32 zero = 0;
	struct decision *d = bpf_map_lookup_elem(&decided, &zero);

	if (d)
		*d = (struct decision){.count = d->count + 1, .mark = mark, .cause = cause, .outcome = outcome};
	return 0;
}

/* Counts a packet on the wrong way; it leaves all the same unless that would be a leak, which no uplink of its class's own is. */
static __noinline int leave(struct __sk_buff *skb, __u32 mark, const struct class_entry *class, __u32 cause)
{
	struct class_counters *c = line_of(class);
	__u32 leak = class->flags & CLASS_NO_LEAK && cause != CAUSE_CHOSEN && !(class->uplinks >> (uplink & 63) & 1);

	if (!c)
		return TCX_NEXT;
	c->misroutes[cause % CAUSES] += segments_of(skb);
	if (cause != CAUSE_CHOSEN)
		decide(mark, cause, leak ? OUTCOME_REFUSED : OUTCOME_LEFT);
	if (leak) {
		c->dropped += segments_of(skb);
		return TC_ACT_SHOT;
	}
	count(skb, class, c);
	return TCX_NEXT;
}

#endif
