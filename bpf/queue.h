/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long packets wait between tc egress and the driver. A sample is told by
 * its tc_index, which goes with it through the queue, and with the segments
 * that the kernel cuts it into; nobody else has used that field since dsmark
 * was removed, and one who does is left alone.
 */
#ifndef WAYMARK_QUEUE_H
#define WAYMARK_QUEUE_H

#include "core.h"
#include "count.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QUEUED);
	__type(key, __u32);
	__type(value, struct queued);
} queue SEC(".maps");

static __always_inline struct queued *queued_as(__u32 tag)
{
	__u32 place = tag % QUEUED;

	return bpf_map_lookup_elem(&queue, &place);
}

/* For a packet that is a sample. */
static __noinline void enter_queue(struct __sk_buff *skb, __u32 slot, __u32 number)
{
	if ((skb->tc_index & TAG_KIND) == TAG_QUEUED || is_off(OFF_QUEUE))
		return;
	__u64 now = bpf_ktime_get_ns();
	__u16 tag = (now >> 5 & ~TAG_KIND & 0xffff) | TAG_QUEUED;
	struct queued *q = queued_as(tag);
	if (!q)
		return;
	q->tag = 0; /* nobody's, while it is being written */
	q->ns = now;
	q->slot = slot;
	q->uplink = number;
	q->tag = tag;
	skb->tc_index = tag;
}

static __always_inline void leave_queue(const struct sk_buff *skb)
{
	__u16 tag = skb->tc_index;

	if ((tag & TAG_KIND) != TAG_QUEUED) /* none, or another's, from tc ingress */
		return;
	struct queued *q = queued_as(tag);
	if (!q || q->tag != tag || skb->dev->nd_net.net->net_cookie != netns_cookie || is_off(OFF_QUEUE))
		return;
	__u64 took = bpf_ktime_get_ns() - q->ns;
	__u32 slot = q->slot, number = q->uplink, line = slot * uplink_limit + number;
	struct class_counters *c = number < uplink_limit ? bpf_map_lookup_elem(&counters, &line) : 0;
	q->tag = 0; /* of several segments the first tells */
	if (!c)
		return;
	c->queue_ns += took;
	observe(slot, number, TIME_QUEUE, took, 1);
}
#endif
