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
	const struct dst_entry *route = 0;
	const struct net_device *device = 0;
	int ifindex = 0;

	READ(route, sk->sk_dst_cache);
	if (!route)
		return 0;
	READ(device, route->dev);
	READ(ifindex, device->ifindex);
	return uplink_behind(ifindex) == NO_UPLINK;
}

/* Counts a flow of the host's own in the class that it leaves by; returns whether it leaves by an uplink. */
static __always_inline int count_open(const struct sock *sk, const struct socket_note *note)
{
	__u32 mark = 0;

	READ(mark, sk->sk_mark);
	mark = udp_class_mark(mark, note, 1);
	if (!class_number(mark) && leaves_otherwise(sk))
		return 0;
	struct open_flows *f = flows_of(mark);
	if (f)
		f->open++;
	return 1;
}

static __always_inline void count_flow(void *socket, const struct sock *sk)
{
	struct socket_note *note = bpf_sk_storage_get(&notes, socket, 0, 0);

	if (!order.elsewhere && !count_open(sk, note))
		return;
	if (!note || !(note->flags & NOTE_KEPT))
		return;
	struct open_flows *f = flows_of(classify_socket(address_of(sk), order.to));
	if (f)
		f->kept++;
}

static __always_inline void count_tcp_flow(struct sock_common *skc)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(skc);

	if (tcp && skc->skc_state != TCP_LISTEN)
		count_flow(tcp, (const struct sock *)tcp);
}

static __always_inline void count_udp_flow(struct udp_sock *udp)
{
	const struct sock *sk = (const struct sock *)udp;
	__u16 port = 0;

	READ(port, sk->__sk_common.skc_dport);
	if (port)
		count_flow(udp, sk);
}
#endif
