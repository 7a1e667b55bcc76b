/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many flows are open, by class. */
#ifndef WAYMARK_FLOWS_H
#define WAYMARK_FLOWS_H

#include "remark.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: slots */
	__type(key, __u32);
	__type(value, struct open_flows);
} flows SEC(".maps");

static __always_inline struct open_flows *flows_of(__u32 mark)
{
	const struct class_entry *class = class_of(mark);

	if (!class)
		return 0;
	__u32 slot = class->slot;
	return bpf_map_lookup_elem(&flows, &slot);
}

/* Whether a flow that has a route leaves by another interface than an uplink: to the host itself, say. */
static __always_inline int leaves_otherwise(const struct sock *sk)
{
	int ifindex = leaves_by(sk);

	return ifindex && uplink_behind(ifindex) == NO_UPLINK;
}

/* The lowest uplink of a bitmap. */
static __always_inline __u32 lowest_of(__u64 uplinks)
{
	return log2_of(uplinks & -uplinks);
}

/* The uplink that a flow is tied to by its source, or left by last. */
static __noinline __u32 flows_uplink(__u64 address)
{
	__u64 homes = homes_of(address);

	return homes ? lowest_of(homes) : uplink_behind(leaves_by((const struct sock *)address));
}

/* Tells who a flow is; returns 0 if there was room for it. */
static __noinline long tell(struct bpf_iter_meta *meta, __u64 address, __u32 mark, __u32 due)
{
	struct told_flow f = {.mark = mark, .due = due, .uplink = flows_uplink(address)};
	const struct sock *sk = (const struct sock *)address;
	const struct socket_alloc *socket = 0;
	const struct cgroup *cgroup = 0;
	const struct kernfs_node *node = 0;
	struct flow flow = {};
	__u16 protocol = 0;

	read_addresses(sk, &flow);
	f.family = flow.family;
	f.addresses[0] = flow.addresses[0];
	f.addresses[1] = flow.addresses[1];
	READ(f.ports[0], sk->__sk_common.skc_num);
	READ(f.ports[1], sk->__sk_common.skc_dport);
	f.ports[1] = bpf_ntohs(f.ports[1]);
	READ(protocol, sk->sk_protocol);
	f.proto = protocol_of(protocol);
	READ(f.uid, sk->sk_uid.val);
	__u8 locks = locks_at(sk);
	f.bound[0] = !!(locks & SOCK_BINDADDR_LOCK);
	f.bound[1] = !!(locks & SOCK_BINDPORT_LOCK);
	READ(socket, sk->sk_socket);
	READ(f.inode, socket->vfs_inode.i_ino);
	READ(cgroup, sk->sk_cgrp_data.cgroup);
	READ(node, cgroup->kn);
	READ(f.cgroup, node->id);
	return bpf_seq_write(meta->seq, &f, sizeof(f));
}

/* Whether a flow's source keeps it from the uplink that its class takes now. */
static __always_inline int has_not_followed(const struct sock *sk, __u32 mark)
{
	return is_classed(mark) && is_pinned(address_of(sk), mark) && !is_bound(sk);
}

static __always_inline int is_asked_for(const struct sock *sk)
{
	__u16 port = 0;

	READ(port, sk->__sk_common.skc_num);
	return order.port && order.port == port;
}

/*
 * Counts a flow, and tells of one that stayed elsewhere or was asked for. Where there is no
 * room left to tell, the iterator comes by once more, so nothing is counted
 * before that. Of others' flows only those that were kept are known.
 */
static __always_inline void count_flow(struct bpf_iter_meta *meta, void *socket, const struct sock *sk, int accepted)
{
	struct socket_note *note = bpf_sk_storage_get(&notes, socket, 0, 0);
	struct open_flows *f;
	__u32 mark = 0, kept = note && note->flags & NOTE_KEPT, asked = is_asked_for(sk);

	READ(mark, sk->sk_mark);
	mark = udp_class_mark(mark, note, 1);
	if (!asked && (order.elsewhere ? !kept : !is_classed(mark) && leaves_otherwise(sk)))
		return;
	accepted |= note && note->flags & NOTE_INBOUND;
	__u32 due = kept ? classify_socket(address_of(sk), order.to) : mark;
	if ((asked || kept || (!accepted && has_not_followed(sk, mark))) && tell(meta, address_of(sk), mark, due))
		return;
	f = order.elsewhere ? 0 : flows_of(mark);
	if (f)
		f->open++;
	f = kept ? flows_of(due) : 0;
	if (f)
		f->kept++;
}

static __always_inline void count_tcp_flow(struct bpf_iter_meta *meta, struct sock_common *skc)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(skc);

	if (!tcp)
		return;
	int accepted = was_accepted(skc);
	if (skc->skc_state != TCP_LISTEN)
		count_flow(meta, tcp, (const struct sock *)tcp, accepted);
}

static __always_inline void count_udp_flow(struct bpf_iter_meta *meta, struct udp_sock *udp)
{
	const struct sock *sk = (const struct sock *)udp;
	__u16 port = 0;

	READ(port, sk->__sk_common.skc_dport);
	if (port)
		count_flow(meta, udp, sk, 0);
}
#endif
