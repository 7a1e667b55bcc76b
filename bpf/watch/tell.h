/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events, as user space gets them, and how often there is one of a flow. */
#ifndef WAYMARK_WATCH_TELL_H
#define WAYMARK_WATCH_TELL_H

#include "../watch.h"

static __u64 (*const bpf_ktime_get_boot_ns)(void) = (void *)125;
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static __u64 (*const bpf_ringbuf_query)(void *ring, __u64 what) = (void *)134;

enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { SYN = 2, ACK = 16 };

#define SECOND 1000000000ULL
#define FORGOTTEN (60 * SECOND) /* a flow without a connection that was silent for so long begins anew */

static __always_inline __u64 cgroup_of(const struct sock *sk)
{
	const struct cgroup *cgroup = 0;
	const struct kernfs_node *node = 0;
	__u64 id = 0;

	READ(cgroup, sk->sk_cgrp_data.cgroup);
	READ(node, cgroup->kn);
	READ(id, node->id);
	return id;
}

/* Tells of it. Whoever watches looks now and then; only many events wake him. */
static __noinline void tell(const struct sight *s, __u32 kind, __u32 detail, __u64 place, __u64 packets)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		__u32 zero = 0;
		__u64 *n = bpf_map_lookup_elem(&untold, &zero);
		if (n)
			(*n)++;
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->ns = bpf_ktime_get_boot_ns();
	e->kind = kind;
	e->flow = s->flow;
	e->mark = s->mark;
	e->ifindex = s->ifindex;
	e->packets = packets;
	e->place = place;
	e->uid = ~0U;
	if (kind == EVENT_DROPPED)
		e->reason = detail;
	else
		e->cause = detail;
	if (s->sk) {
		__u64 address = s->sk;
		const struct sock *sk = (const struct sock *)address;
		struct watch_owner *owner = bpf_map_lookup_elem(&owners, &address);
		READ(e->uid, sk->sk_uid.val);
		e->cgroup = cgroup_of(sk);
		if (owner) {
			e->pid = owner->pid;
			__builtin_memcpy(e->command, owner->command, COMMAND_BYTES);
		}
	}
	bpf_ringbuf_submit(e, bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= WAKE_BYTES ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline struct watch_told *told_of(const struct watch_flow *flow)
{
	struct watch_told *t = bpf_map_lookup_elem(&told, flow);

	if (t)
		return t;
	struct watch_told none = {};
	bpf_map_update_elem(&told, flow, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&told, flow);
}

/* One more; returns how many there are to tell of, once a second. */
static __always_inline __u64 due(__u64 *last_ns, __u64 *count)
{
	__u64 now = bpf_ktime_get_ns(), n = ++*count;

	if (*last_ns && now - *last_ns < SECOND)
		return 0;
	*last_ns = now;
	*count = 0;
	return n;
}

static __always_inline void note_flow(const struct sight *s)
{
	struct watch_told *t = told_of(&s->flow);
	__u64 now = bpf_ktime_get_ns();

	if (!t)
		return;
	__u64 before = t->seen_ns;
	t->seen_ns = now;
	if (s->flow.proto == IPPROTO_TCP) {
		if (!(s->flags & SYN) || (before && t->sequence == s->sequence))
			return;
		t->sequence = s->sequence;
		tell(s, s->flags & ACK ? EVENT_ACCEPTED : EVENT_OPENED, 0, 0, 1);
	} else if (!before || now - before > FORGOTTEN) {
		tell(s, EVENT_OPENED, 0, 0, 1);
	}
}

#endif
