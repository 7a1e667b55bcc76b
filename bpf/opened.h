/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a socket that is open already is, read from the kernel's own structures: its class, and whether its source ties it to an uplink. */
#ifndef WAYMARK_OPENED_H
#define WAYMARK_OPENED_H

#include "core.h"
#include "egress.h"
#include "home.h"
#include "refuse.h"

/* Functions are not inlined where their stack would stand under the search's. */

static long ask_socket_ancestor(__u32 i, struct ancestry *a)
{
	return ask_ancestor(a, ancestor_id(a->of, next_level(a)));
}

/* As find_task_cgroup_set, of a socket that is no packet's. */
__noinline __u32 find_socket_cgroup_set(__u64 address, __u32 version, __u64 levels, __u32 none)
{
	const struct sock *sk = (const struct sock *)address;
	struct ancestry a = {.sets = bpf_map_lookup_elem(&cgroups, &version), .levels = levels, .set = none};

	READ(a.of, sk->sk_cgrp_data.cgroup);
	return deepest_set(&a, ask_socket_ancestor);
}

static __always_inline void read_addresses(const struct sock *sk, struct flow *flow)
{
	__u32 addresses[2][4] = {};
	__u16 family = 0;

	READ(family, sk->__sk_common.skc_family);
	flow->family = family;
	if (family == AF_INET) {
		READ(addresses[0][0], sk->__sk_common.skc_rcv_saddr);
		READ(addresses[1][0], sk->__sk_common.skc_daddr);
	} else {
		READ(addresses[0], sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
		READ(addresses[1], sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32);
	}
	to_words(&flow->addresses[0], addresses[0]);
	to_words(&flow->addresses[1], addresses[1]);
}

/* The flow as the hooks saw it: a source that the kernel chose is none, and what is not connected has no destination. */
static __noinline void read_flow(const struct sock *sk, __u32 fields, struct flow *flow)
{
	__u16 protocol = 0, ports[2] = {};

	READ(protocol, sk->sk_protocol);
	READ(flow->uid, sk->sk_uid.val);
	flow->proto = protocol_of(protocol);
	if (!(fields & (1 << FIELD_SRC | 1 << FIELD_DST | 1 << FIELD_SPORT | 1 << FIELD_DPORT)))
		return;
	__u8 locks = locks_at(sk);
	READ(ports[0], sk->__sk_common.skc_num);
	READ(ports[1], sk->__sk_common.skc_dport);
	flow->ports[0] = locks & SOCK_BINDPORT_LOCK ? ports[0] : 0;
	flow->ports[1] = bpf_ntohs(ports[1]);
	read_addresses(sk, flow);
	if (flow->family == AF_INET6 && is_v4_mapped(&flow->addresses[1]))
		unmap(flow);
	if (!(locks & SOCK_BINDADDR_LOCK))
		__builtin_memset(&flow->addresses[0], 0, sizeof(flow->addresses[0]));
	if (!ports[1])
		flow->family = 0;
}

/* The mark of a socket's class by a version of the table; 0: none. */
__noinline __u32 classify_socket(__u64 address, __u32 version)
{
	const struct table_header *h = header_of(version);
	struct flow flow = {};
	__u32 set = 0;

	if (!h)
		return 0;
	if (names_cgroups(h))
		set = find_socket_cgroup_set(address, version, h->cgroup_levels, h->no_cgroup);
	if (!(set & SET_DECIDED))
		read_flow((const struct sock *)address, h->fields, &flow);
	return classify_in(version, h, set, &flow, 0);
}

/* The uplinks that a class may leave by now, as a bitmap; all if it cannot be said. */
static __always_inline __u64 ways_of(const struct class_entry *class)
{
	if (class->flags & CLASS_BALANCED)
		return class->uplinks;
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (u && u->flags & UPLINK_USABLE)
			return 1ULL << (index & 63);
	}
	return ~0ULL;
}

/* The uplinks of which a socket's source is an own address, as a bitmap. */
__noinline __u64 homes_of(__u64 address)
{
	struct flow flow = {};

	read_addresses((const struct sock *)address, &flow);
	return homes_of_source(&flow);
}

/* Whether a socket's source is another uplink's own address than those that a class leaves by. */
__noinline int is_pinned(__u64 address, __u32 mark)
{
	const struct class_entry *class = class_of(mark);
	__u64 homes = homes_of(address);

	return class && homes && !(homes & ways_of(class));
}

/* The interface that a flow's packets leave by, as far as it has a route; 0: it has none. */
static __always_inline int leaves_by(const struct sock *sk)
{
	const struct dst_entry *route = 0;
	const struct net_device *device = 0;
	int ifindex = 0;

	READ(route, sk->sk_dst_cache);
	READ(device, route->dev);
	READ(ifindex, device->ifindex);
	return ifindex;
}

/* Whether a flow is one of the host with itself: no uplink is its way, whatever its class. */
__noinline int is_within_host(__u64 address)
{
	const struct sock *sk = (const struct sock *)address;
	struct flow flow = {};

	if (leaves_by(sk) == LOOPBACK)
		return 1;
	read_addresses(sk, &flow);
	if (flow.family == AF_INET)
		flow.addresses[1] = mapped(flow.addresses[1].word[0]);
	return is_loopback(&flow.addresses[1]);
}

/* Whether the application said where a socket's packets leave, by its address or by a device. */
static __always_inline int is_bound(const struct sock *sk)
{
	int device = 0;

	READ(device, sk->__sk_common.skc_bound_dev_if);
	return device || locks_at(sk) & SOCK_BINDADDR_LOCK;
}

#endif
